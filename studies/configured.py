"""A study's options from a file: `--config study.toml`, with its space by name, before what the command line says."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

from evae.errors import UserError, unknown
from evae.search.space import Space
from evae.study.config import Config, read
from evae.study.options import StudyOptions

OPTION = "--config"


def configured(options: type[StudyOptions], study: ModuleType) -> tuple[type[StudyOptions], Config]:
    """The study's options, in the space that the file names, and what else the file says; without a file these
    options, and nothing. Raises UserError for a file that cannot be used, or is of another study."""
    path = _given(sys.argv[1:])
    if path is None:
        return options, Config(None, None, ())
    config = read(path, options)
    if config.study is not None and config.study.replace("_", "-") != name_of(study).replace("_", "-"):
        raise UserError(
            f"{path} is of the study {config.study}, and this is {name_of(study)}: run evae study {path}, or take "
            '"study" out of it.'
        )
    if config.space is not None:
        # A class of the same name and fields, as its options are.
        own = {"space": space(config.space), "__doc__": options.__doc__, "__module__": options.__module__}
        options = type(options.__name__, (options,), own)
    return options, config


def name_of(study: ModuleType) -> str:
    """A study of ours by its name, one of a user's by the path of its file."""
    file = Path(study.__file__ or "")
    ours = file.parent.resolve() == Path(__file__).parent.resolve()
    return file.stem.replace("_", "-") if ours else os.path.relpath(file)


def space(name: str) -> Space:
    """A space by the name of its file in search_spaces/, or as "module:NAME" of a user's own. Raises UserError where
    there is none."""
    module, _, attribute = name.partition(":")
    if not attribute:
        known = sorted(file.stem for file in (Path(__file__).parents[1] / "search_spaces").glob("[!_]*.py"))
        if module not in known:
            raise unknown("search space", name, known)
        module = f"search_spaces.{module}"
    try:
        found = getattr(importlib.import_module(module), attribute or "SPACE")
    except (ImportError, TypeError, ValueError) as error:  # of the last two, names that are none
        raise UserError(f"the search space {name!r} cannot be imported: {error}") from None
    except AttributeError:
        raise UserError(
            f"the search space {name!r} is none by itself: {module} makes spaces of a study's options. Name the study "
            "that does, or give module:NAME of a Space."
        ) from None
    if not isinstance(found, Space):
        raise UserError(f"{name!r} is no search space, but {type(found).__name__}: give module:NAME of a Space.")
    return found


def _given(arguments: list[str]) -> str | None:
    """The file on a command line, the last where there are several."""
    found = None
    for index, argument in enumerate(arguments):
        if argument == OPTION and index + 1 < len(arguments):
            found = arguments[index + 1]
        elif argument.startswith(f"{OPTION}="):
            found = argument.partition("=")[2]
    return found
