"""A study as a file: any option by its name in TOML, and the file that repeats a study.

    study = "kernel-sweep"      # or the path of a study of your own
    space = "kernels"           # of search_spaces/, where it is not the study's own
    name = "faces"
    data = "folder:~/faces"
    claim = ["EVAE, paper < VAE in rec_fd"]

What stands on the command line overrides it; claims, constraints and plug-ins add to it.
"""

import json
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tyro.conf import Suppress, UseAppendAction

from evae.errors import UserError, unknown
from evae.families import checked
from evae.home import expanded

OF_A_RUN = (
    *("config", "resume", "extend", "accept_changed_plugins", "results", "address", "time_limit", "dry_run"),
    *("pool", "pool_same", "pool_first"),
)
"""Options of one run, which the file that repeats a study leaves out."""
NAMES = "surrogateescape"
"""How names of files that are no UTF-8 are written and read: with their own bytes."""
ABOUT = ("study", "space")
"""Keys that are no options: which study's defaults hold, and in which space it searches."""


@dataclass(frozen=True)
class Config:
    """What a file says: its `study` and `space`, None where it does not say, and its options as a command line."""

    study: str | None
    space: str | None
    arguments: tuple[str, ...]


def read(path: str, options: type) -> Config:
    """The file, for a study with these options. Raises UserError, which names the key, for a key that is not known and
    for a value of another type."""
    given = parsed(path)
    known, repeatable = _options(options)
    about = {key: checked(str, given.pop(key), f"{path}: {key}") for key in ABOUT if key in given}
    arguments: list[str] = []
    for key, value in given.items():
        name = key.replace("-", "_")
        if name == "keep_weights" and isinstance(value, bool):  # as versions before `keep` wrote it
            name, value = "keep", "weights" if value else "none"
        if name not in known or name == "config":
            raise unknown(f"key in {path}:", key, [*ABOUT, *(n.replace("_", "-") for n in known if n != "config")])
        arguments += _arguments(name, checked(known[name], value, f"{path}: {key}"), name in repeatable)
    return Config(about.get("study"), about.get("space"), tuple(arguments))


def parsed(path: str) -> dict[str, Any]:
    """The keys and values of a TOML file. Raises UserError where it is none."""
    try:
        with open(expanded(path), encoding="utf-8", errors=NAMES) as file:
            return tomllib.loads(file.read())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}. Give a TOML file with a study's options.") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not TOML: {error}") from None


def written(options: Any, study: str, space: str | None = None) -> bytes:
    """The content of the file that repeats a study with these options."""
    known, _ = _options(type(options))
    said: Mapping[str, Any] = {"study": study} | ({"space": space} if space else {})
    said |= {name: checked(kind, getattr(options, name), name) for name, kind in known.items() if name not in OF_A_RUN}
    lines = [f"{name.replace('_', '-')} = {_toml(value)}" for name, value in said.items() if value is not None]
    text = "# Repeats this study: evae study THIS_FILE --results ELSEWHERE\n" + "\n".join(lines) + "\n"
    return text.encode(errors=NAMES)


def _options(options: type) -> tuple[dict[str, Any], set[str]]:
    """The types of the options that a user may give, by name, and which are repeatable."""
    hints = typing.get_type_hints(options, include_extras=True)
    marks = {item.name: getattr(hints[item.name], "__metadata__", ()) for item in fields(options)}
    plain = typing.get_type_hints(options)
    known = {name: plain[name] for name, marked in marks.items() if Suppress not in marked}
    return known, {name for name, marked in marks.items() if UseAppendAction in marked}


def _arguments(name: str, value: Any, repeatable: bool) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if isinstance(value, tuple):
        return [f"{option}={one}" for one in value] if repeatable else [option, *map(str, value)]
    return [f"{option}={value}"]


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # Numbers, true and false are written alike. TOML escapes text as JSON does, but for surrogates, and DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
