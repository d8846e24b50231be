"""Several studies side by side, as one HTML page.

python analysis/compare.py results/kernel-sweep results/faces --output compare.html
python analysis/compare.py results/digits results/clothes results/photos --against VAE      # one space, three data sets

Configurations that two studies or more have by the same name are each held against one of them on the same data, as a
ratio of means or a difference, and over all data sets together (random effects): one table, with intervals, and what
differs at an error rate of 5 % for the whole table (benchmarks/data_sets.py).

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
    against: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="LABEL",
            help="the named configuration that the others are held against (default: VAE, or else the first control)",
        ),
    ] = None,
    output: Annotated[Path, tyro.conf.arg(metavar="PATH", help="where to write the page")] = Path("compare.html"),
) -> None:
    """Write one page on which several studies stand side by side."""
    from analysis.page.comparison import render  # imported here: --help need not wait for it

    written = files.write(output, render(studies, against), "Free some space, or choose another place with --output.")
    print(files.shown(written))


if __name__ == "__main__":
    run(main)
