"""A table for elsewhere: CSV for machines, LaTeX (booktabs) and Markdown for papers."""

import csv
import io
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.study.naming import interval, number

ESCAPED = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "β": r"$\beta$",
    "²": "$^2$",
    "–": "--",
    "\N{NO-BREAK SPACE}": "~",
}
"""What LaTeX takes otherwise, or does not know without a package."""


WIDE = 24
"""Letters of a line of a head."""


@dataclass(frozen=True)
class Value:
    """A measured number with half its 95 % interval (NaN: not known); `best` where it is better than all that it is
    compared with by more than noise."""

    mean: float
    half: float = math.nan
    best: bool = False

    def __str__(self) -> str:
        return interval(self.mean, self.half)


Cell = Value | float | int | str | None


@dataclass(frozen=True)
class Table:
    """`heads` are (name, unit or "") of each column, `kinds` "text" or "number"; the caption says what is in it, and
    how often what is set in bold is wrong."""

    name: str
    caption: str
    heads: Sequence[tuple[str, str]]
    kinds: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def csv(self) -> str:
        """Numbers as they were measured. A column of values is followed by half their intervals, and by which are
        better than all others."""
        measured = [any(isinstance(row[i], Value) for row in self.rows) for i in range(len(self.heads))]
        text = io.StringIO()
        lines = csv.writer(text)
        heads = [f"{name} ({unit})" if unit else name for name, unit in self.heads]
        more = ["half of 95 % interval", "better than all others"]
        lines.writerow([h for head, m in zip(heads, measured, strict=True) for h in (head, *more[: 2 * m])])
        for row in self.rows:
            cells = [_plain(cell) if m else [cell] for cell, m in zip(row, measured, strict=True)]
            lines.writerow([part for cell in cells for part in cell])
        return text.getvalue()

    def markdown(self) -> str:
        """With the caption above."""
        heads = [f"{name}, {unit}" if unit else name for name, unit in self.heads]
        rules = ["---:" if kind == "number" else "---" for kind in self.kinds]
        body = [[_bold(cell, "**{}**", in_markdown) for cell in row] for row in self.rows]
        rows = [list(map(in_markdown, heads)), rules, *body]
        return f"{in_markdown(self.caption)}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def latex(self) -> str:
        """A `table` whose packages are booktabs and, for letters beyond English ones, inputenc or a newer TeX."""
        sides = ["r" if kind == "number" else "l" for kind in self.kinds]
        heads = [_stacked(name, side) for (name, _), side in zip(self.heads, sides, strict=True)]
        units = [
            rf"\footnotesize {_stacked(unit, side)}" if unit else ""
            for (_, unit), side in zip(self.heads, sides, strict=True)
        ]
        body = [[_bold(cell, r"\textbf{{{}}}", in_latex) for cell in row] for row in self.rows]
        lines = [" & ".join(row) + r" \\" for row in ([heads, units] if any(units) else [heads])]
        inside = [r"\toprule", *lines, r"\midrule", *(" & ".join(row) + r" \\" for row in body), r"\bottomrule"]
        return "\n".join(
            [
                r"% \usepackage{booktabs}",
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{in_latex(self.caption)}}}",
                rf"\label{{tab:{self.name}}}",
                rf"\begin{{tabular}}{{{''.join(sides)}}}",
                *inside,
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )


def _stacked(text: str, side: str) -> str:
    """A head or unit, in lines below each other where it is long."""
    lines = [in_latex(line) for line in textwrap.wrap(text, WIDE)]
    below = r" \\ ".join(lines)
    return rf"\shortstack[{side}]{{{below}}}" if len(lines) > 1 else below


def in_latex(text: str) -> str:
    """The text as LaTeX sets it, on one line."""
    return "".join(ESCAPED.get(letter, letter) for letter in text.replace("\n", " "))


def in_markdown(text: str) -> str:
    """The text as a cell of a Markdown table."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", re.sub(r"\s*\n\s*", " ", text))


def _bold(cell: Cell, form: str, escape: Callable[[str], str]) -> str:
    text = escape(_text(cell))
    return form.format(text) if isinstance(cell, Value) and cell.best else text


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Value):
        return str(cell).replace("-", "−")
    return number(cell).replace("-", "−")


def _plain(cell: Cell) -> list[object]:
    if isinstance(cell, Value):
        return [cell.mean, "" if math.isnan(cell.half) else cell.half, "yes" if cell.best else ""]
    return [cell, "", ""]
