"""Plug-ins: a user's own Python files and modules, which register families when they are imported.

A plug-in is named by the path of a file (`student_t.py`), by a module (`lab.posteriors`), or by the name that an
installed package gives it in the entry point group `evae.plugins`. A file stands alone and travels to every process of
a study as text; a module must be installed wherever a trial runs.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import linecache
import sys
import traceback
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evae.errors import UserError
from evae.home import expanded
from evae.registry import claim, forget, importing, registered_by

GROUP = "evae.plugins"


@dataclass(frozen=True)
class Plugin:
    """A plug-in as it was found: `name` is that of the file or the module, `digest` 12 hex digits of the SHA-256 of its
    content. `source` is the text of a file, None for a module; `files` are those that register its families.
    """

    name: str
    digest: str
    source: str | None = field(default=None, repr=False)
    path: str | None = None
    files: frozenset[str] = field(default=frozenset(), repr=False, compare=False)


LOADED: dict[str, Plugin] = {}
"""What this process has imported, by name."""


def find(given: str) -> Plugin:
    """The plug-in that a user named, not imported yet. Raises UserError where there is none."""
    path = Path(expanded(given))
    if path.suffix == ".py" or path.is_file():
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"the plug-in {given!r} cannot be read: {error.strerror or error}.") from None
        place = str(path.resolve())
        return Plugin(path.name, _digest([content]), content.decode("utf-8", "replace"), place, frozenset([place]))
    points = {point.name: point.value for point in importlib.metadata.entry_points(group=GROUP)}
    name = points.get(given, given)
    files = _module_files(name, given, points)
    content = [part for file in files for part in (file.name.encode(), file.read_bytes())]
    return Plugin(name, _digest(content), files=frozenset(map(str, files)))


def load(given: Iterable[Plugin | str]) -> list[Plugin]:
    """Import plug-ins, each once in a process; what they register is then known. A file that has changed since takes
    the place of what it was.

    Raises UserError for one that is not there, that fails to import (with its own traceback), or that registers
    nothing; and for a module whose content is not that of the plug-in given.
    """
    plugins = [find(one) if isinstance(one, str) else one for one in given]
    for plugin in plugins:
        known = LOADED.get(plugin.name)
        if known is None or known.digest != plugin.digest:
            forget(registered_by(plugin.name))
            _import(plugin)
            LOADED[plugin.name] = plugin
    return plugins


def digests(names: Iterable[str]) -> dict[str, str]:
    """The content digest of each of these plug-ins, which this process has imported."""
    return {name: LOADED[name].digest for name in sorted(names)}


def require_loaded(recorded: Mapping[str, str]) -> None:
    """Raise UserError unless this process has imported all plug-ins of these names, whatever their version."""
    lacking = sorted(recorded.keys() - LOADED.keys())
    if lacking:
        raise UserError(
            f"this was made with the plug-in {' and '.join(lacking)}, which is not loaded: name it with --plugin, or "
            "from Python with evae.plugins.load."
        )


def changed(recorded: Mapping[str, str]) -> list[str]:
    """In words, which of these plug-ins this process has in another version."""
    here = digests(recorded.keys() & LOADED.keys())
    return [f"{name} is {found}, and was {recorded[name]}" for name, found in here.items() if found != recorded[name]]


def _import(plugin: Plugin) -> None:
    with importing(plugin.name):
        try:
            if plugin.source is None:
                _import_module(plugin)
            elif plugin.path != _main_file():
                _run(plugin)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"the plug-in {plugin.name} cannot be imported:\n\n{_own_traceback(error)}") from None
    claim(plugin.name, plugin.files)
    if not registered_by(plugin.name):
        raise UserError(
            f"the plug-in {plugin.name} registers nothing: decorate a family, for example with "
            "@posterior of evae.posteriors (docs/plugins.md)."
        )


def _main_file() -> str | None:
    """The script that runs: as a plug-in of its own study it has been run already."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return str(Path(file).resolve()) if file else None


def _run(plugin: Plugin) -> None:
    """Make a module of a file's text, in whatever process and on whatever machine."""
    name = f"evae_plugin_{Path(plugin.name).stem}"
    module = types.ModuleType(name)
    module.__file__ = place = plugin.path or plugin.name
    sys.modules[name] = module
    # So that a traceback shows its lines also where there is no such file.
    linecache.cache[place] = len(plugin.source), None, plugin.source.splitlines(keepends=True), place
    try:
        exec(compile(plugin.source, place, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise


def _import_module(plugin: Plugin) -> None:
    here = find(plugin.name).digest
    if here != plugin.digest:
        raise UserError(
            f"the plug-in {plugin.name} differs here: {here}, and {plugin.digest} where the study was started. "
            "Install the same version on every machine."
        )
    importlib.import_module(plugin.name)


def _module_files(name: str, given: str, points: Mapping[str, str]) -> list[Path]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        known = f" Installed ones: {', '.join(sorted(points))}." if points else ""
        raise UserError(
            f"there is no plug-in {given!r}: give the path of a Python file, or a module that is installed on every "
            f"machine.{known}"
        )
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)]
    return sorted(file for place in spec.submodule_search_locations for file in Path(place).rglob("*.py"))


def _digest(parts: Sequence[bytes]) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _own_traceback(error: Exception) -> str:
    """The traceback without the frames of this file and of the import system."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename != __file__ and "importlib" not in f.filename]
    lines = traceback.format_list(own) + traceback.format_exception_only(error)
    return "".join(lines).rstrip()
