"""A page of tables that are filled number by number, where what cannot be measured ends nothing else."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from _record import keep, provenance, table


@dataclass
class Table:
    """Numbers by row and column: the `columns` say how each of theirs is written. What could not be measured is "-"."""

    page: "Page"
    head: str
    columns: Mapping[str, str]
    said: str = ""
    found: dict[str, dict[str, float]] = field(default_factory=dict)

    def take(self, row: str, measure: Callable[[], Mapping[str, float]], of: str = "") -> None:
        """Put into the row what `measure` finds, of some columns or of all; `of` what, for people."""
        cells = self.found.setdefault(row, {})
        with self.page.surviving(f"{row}, {of}" if of else row):
            new = dict(measure())
            cells |= new
            print(f"{row}: {', '.join(f'{name} {self.columns[name].format(new[name])}' for name in new)}", flush=True)

    def text(self) -> str:
        rows = [
            {self.head: row} | {name: how.format(cells[name]) if name in cells else "-" for name, how in self._columns}
            for row, cells in self.found.items()
        ]
        return f"{self.said}\n\n{table(rows)}" if self.said else table(rows)

    @property
    def _columns(self) -> list[tuple[str, str]]:
        return list(self.columns.items())


class Page:
    """A result by its `name` in benchmarks/results, written anew with each number; without a name, shown at the end."""

    def __init__(self, name: str | None, title: str, machine: str = ""):
        self.name, self.title, self.machine = name, title, machine
        self.made = provenance()  # once the page is written, there are changes that are not committed
        self.tables: list[Table] = []
        self.aims: list[tuple[str, str, str]] = []
        self.failed: list[str] = []
        self.ended = False

    def table(self, head: str, columns: Mapping[str, str], said: str = "") -> Table:
        """A new one."""
        self.tables.append(made := Table(self, head, columns, said))
        return made

    def aim(self, what: str, bound: str, found: float) -> None:
        """Compare what was found with what is aimed at."""
        self.aims.append((what, bound, f"{found:.2f}"))

    @contextmanager
    def surviving(self, what: str) -> Iterator[None]:
        """What fails within is said, on the page too, and ends nothing else."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            why = str(error).strip().partition("\n")[0] or "no message"
            self.failed.append(f"{what}: {type(error).__name__}: {why}")
            print(self.failed[-1], flush=True)
        if self.name is not None:
            keep(self.name, self.title, self.made, self.text())

    def text(self) -> str:
        parts = [self.machine] if self.machine else []
        parts += [each.text() for each in self.tables if each.found]
        if self.aims:
            parts.append(table([dict(zip(("aim", "bound", "is"), aim, strict=True)) for aim in self.aims]))
        if self.failed:
            parts.append("\n".join(["Could not be measured:", "", *(f"- {why}" for why in self.failed)]) + "\n")
        if not self.ended:
            parts.append("It was ended before all was measured.\n")
        return "\n".join(parts)

    def end(self) -> None:
        """All that there was to be measured has been."""
        self.ended = True
        if self.name is None:
            print(f"\n{self.text()}\nOn a CPU: these figures say nothing about a GPU, and are not kept.")
        else:
            print(keep(self.name, self.title, self.made, self.text()))
