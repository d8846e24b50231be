"""Tables of families by name, filled by decorators: ours and those of a user's plug-in come in by the same door.

from evae.posteriors import Posterior, posterior

@posterior
class StudentT(Posterior):
    family = "student-t"
"""

import contextlib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from evae.errors import UserError, unknown

T = TypeVar("T")

REGISTRIES: dict[str, "Registry[Any]"] = {}
"""All of them, by the kind of what they hold."""
LATER = {"left_out_at_default": True}
"""Metadata of a family's field that came later: it is left out of the plain form of recipes at its default, so that
those of older stores keep their names."""
_importing: ContextVar[str | None] = ContextVar("plug-in being imported", default=None)


@dataclass(frozen=True)
class Entry(Generic[T]):
    """What was registered, in which file, and by which plug-in (None: one of ours)."""

    value: T
    file: str
    plugin: str | None


class Registry(Mapping[str, T]):
    """The families of one `kind` ("posterior"), by name. As a decorator it registers a class under its `family`, or
    with a name, `@data_source("arrays")`, a function.

    Raises UserError for a name that is taken: it names both files.
    """

    def __init__(self, kind: str, name_of: Callable[[Any], str | None] = lambda given: getattr(given, "family", None)):
        self.kind, self.name_of = kind, name_of
        self.entries: dict[str, Entry[T]] = {}
        REGISTRIES[kind] = self

    def __call__(self, given: Any) -> Any:
        if isinstance(given, str):
            return self._named(given)
        name = self.name_of(given)
        if not isinstance(name, str):
            raise UserError(f'the {self.kind} {given.__name__} needs a name: family = "..." in its class.')
        self.add(name, given)
        return given

    def _named(self, name: str) -> Callable[[T], T]:
        def register(value: T) -> T:
            self.add(name, value)
            return value

        return register

    def add(self, name: str, value: T, written: Any = None) -> None:
        """Register under a name; `written` is the function or class in whose file it is, where that is not the value
        itself."""
        file = _file(value if written is None else written)
        taken = self.entries.get(name)
        if taken is not None:
            raise UserError(
                f"the {self.kind} {name!r} is registered twice: in {taken.file} and in {file}. Rename one of them."
            )
        self.entries[name] = Entry(value, file, _importing.get())

    def plugin_of(self, name: str) -> str | None:
        """The plug-in that registered this name; None where it is ours, or not known."""
        entry = self.entries.get(name)
        return entry.plugin if entry else None

    def of_plugins(self) -> list[str]:
        """The names that plug-ins have registered, in order."""
        return sorted(name for name, entry in self.entries.items() if entry.plugin is not None)

    def __getitem__(self, name: str) -> T:
        """Raises UserError for a name that is not known, with the nearest that is."""
        if name not in self.entries:
            raise unknown(self.kind, name, self.entries)
        return self.entries[name].value

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def _file(source: Any) -> str:
    try:
        return inspect.getfile(inspect.unwrap(source))
    except (TypeError, OSError):  # typed into an interpreter
        return str(getattr(source, "__module__", source))


@contextlib.contextmanager
def importing(plugin: str) -> Iterator[None]:
    """What is registered inside belongs to this plug-in. Where the import fails, nothing of it stays."""
    token = _importing.set(plugin)
    try:
        yield
    except BaseException:
        forget(registered_by(plugin))
        raise
    finally:
        _importing.reset(token)


def claim(plugin: str, files: Collection[str]) -> None:
    """What these files registered when somebody imported them before belongs to this plug-in."""
    for registry in REGISTRIES.values():
        for name, entry in registry.entries.items():
            if entry.file in files:
                registry.entries[name] = replace(entry, plugin=plugin)


def registered_by(plugin: str) -> list[tuple[str, str]]:
    """(kind, name) of what this plug-in has registered."""
    return [
        (kind, name)
        for kind, registry in REGISTRIES.items()
        for name, entry in registry.entries.items()
        if entry.plugin == plugin
    ]


def forget(registered: list[tuple[str, str]]) -> None:
    """Take families out again."""
    for kind, name in registered:
        REGISTRIES[kind].entries.pop(name, None)
