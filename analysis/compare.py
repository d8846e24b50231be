"""Several studies side by side, as one HTML page.

python analysis/compare.py results/kernel-sweep results/faces --output compare.html

Distances of different identity (features, resize rule, counts, split, seed, images) are never drawn on one axis: the
page then has a chart for each group of studies that agree, and says in what the groups differ.
"""

from pathlib import Path
from typing import Annotated

import tyro

from analysis import files
from evae.commands import run


def main(
    studies: Annotated[
        list[str],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="RESULTS", help="two studies or more, e.g. results/kernel-sweep results/faces"),
    ],
    output: Annotated[Path, tyro.conf.arg(metavar="PATH", help="where to write the page")] = Path("compare.html"),
) -> None:
    """Write one page on which several studies stand side by side."""
    from analysis.page.comparison import render  # imported here: --help need not wait for it

    written = files.write(output, render(studies), "Free some space, or choose another place with --output.")
    print(files.shown(written))


if __name__ == "__main__":
    run(main)
