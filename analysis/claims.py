"""What studies say of the claims that they have in common: tables in a page, and a picture of them.

python analysis/claims.py results/digits results/photos --page docs/page.md --figure docs/picture.svg

The page is a Markdown file with two lines, `<!-- verdicts -->` and `<!-- end of verdicts -->`: what stands between them
is replaced. The picture is static, on white, and holds its numbers as text for who cannot see it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from xml.sax.saxutils import escape

import tyro

from analysis import files
from evae.commands import run
from evae.errors import UserError

if TYPE_CHECKING:
    from analysis.study.load import StudyData

BEGIN, END = "<!-- verdicts -->\n", "<!-- end of verdicts -->"
NOTHING = "No results are here yet.\n"


def main(
    studies: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RESULTS", help="results of studies")
    ],
    page: Annotated[
        Path | None, tyro.conf.arg(help="a Markdown file whose tables of verdicts are to be renewed")
    ] = None,
    figure: Annotated[Path | None, tyro.conf.arg(help="where to write the picture, as SVG")] = None,
) -> None:
    """Show what studies say of the claims that they have in common, or write it into a page and a picture."""
    # Imported when needed: --help and wrong options need not wait for it.
    from analysis.study.load import load

    found = [load(place) for place in studies]
    text = tables(found)
    if page is None and figure is None:
        print(text)
    if page is not None:
        print(files.shown(files.write(page, renewed(page, text), "Choose another page.")))
    if figure is not None:
        print(files.shown(files.write(figure, svg(found), "Choose another place with --figure.")))


def tables(studies: "Sequence[StudyData]") -> str:
    """A line about each study and a table for each metric, in Markdown. Raises UserError for studies without claims."""
    from analysis.study import answers, verdicts
    from analysis.typeset import Table, in_markdown

    if not studies:
        return NOTHING
    names, lines = answers.called(studies), _lines(studies)
    text = [f"- {in_markdown(answers.summary(study, verdicts.verdicts(study)))}\n" for study in studies]
    for metric in dict.fromkeys(line.metric for line in lines):
        here = [line for line in lines if line.metric == metric]
        rows = [[line.text.removesuffix(f" in {metric}").removesuffix(f" of {metric}")] for line in here]
        rows = [[*row, *map(answers.cell, line.verdicts)] for row, line in zip(rows, here, strict=True)]
        heads = [("claim", ""), *((name, "") for name in names)]
        caption = f"{metric}, of {answers.in_words(here[0].column)}"
        text.append("\n" + Table(metric, caption, heads, ["text"] * len(heads), rows).markdown())
    return "".join(text)


def renewed(page: Path, text: str) -> str:
    """The page with these tables. Raises UserError where it has no place for them."""
    try:
        before = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {files.shown(page)}: {error}") from None
    if before.count(BEGIN) != 1 or END not in before.partition(BEGIN)[2]:
        raise UserError(f"{files.shown(page)} has no place for tables: add the lines {BEGIN.strip()} and {END}")
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{text}\n{END}", before, flags=re.DOTALL)


def svg(studies: "Sequence[StudyData]") -> str:
    """The picture. Raises UserError where there is no browser to draw it, or nothing to draw."""
    from analysis import export
    from analysis.study.answers import called
    from analysis.views.answers import picture, said

    if not studies:
        raise UserError("give the results of studies")
    names, lines = called(studies), _lines(studies)
    image = export.svg(picture(lines, names))
    head, opened, rest = image.partition(">")
    words = f"<title>{escape(', '.join(names))}</title><desc>{escape(said(lines, names))}</desc>"
    return f'{head} role="img"{opened}{words}{rest}\n'


def _lines(studies: "Sequence[StudyData]") -> list:
    from analysis.study.answers import lines

    if found := lines(studies):
        return found
    raise UserError(f"no claims were stated in {', '.join(study.name for study in studies)}: see --claim of a study")


if __name__ == "__main__":
    run(main)
