"""One self-contained HTML page about a study, from its Parquet files alone.

python analysis/report.py results/kernel-sweep              # writes results/kernel-sweep/report.html
python analysis/report.py results/kernel-sweep --watch      # serves it on this machine while the study runs
python analysis/report.py results/kernel-sweep --export figures     # tables and figures for a paper
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from analysis import files
from evae.commands import run
from evae.errors import UserError

if TYPE_CHECKING:
    from evae.results.store import Store


def write_report(results: "str | Path | Store", output: str | Path | None = None) -> Path:
    """Write the report of the study at `results`, and return where it lies (default: RESULTS/report.html).

    Raises UserError when there is no study, or the place cannot be written: an earlier report is then still there.
    """
    # Imported when needed: --help and wrong options need not wait for it.
    from analysis.page import page
    from analysis.study.load import load

    study = load(results)
    if output is None and not study.store.is_local:
        raise UserError(f"{study.location} is not a local folder: say where to write the report with --output.")
    path = Path(output) if output is not None else Path(study.store.root) / "report.html"
    return files.write(path, page.render(study), "Free some space, or choose another place with --output.")


def main(
    results: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="RESULTS", help="the study's results, e.g. results/kernel-sweep"),
    ],
    output: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help="where to write the page (default: RESULTS/report.html)"),
    ] = None,
    watch: Annotated[
        bool, tyro.conf.arg(help="serve the page to this machine, and renew it as the study goes on")
    ] = False,
    port: Annotated[int, tyro.conf.arg(help="with --watch: the port on 127.0.0.1 (0: any free one)")] = 8765,
    export: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="FOLDER",
            help="instead of the page, write tables (CSV, LaTeX, Markdown) and figures (CSV, SVG, PNG, PDF) there",
        ),
    ] = None,
) -> None:
    """Write the report of a study: one HTML page that opens without the web."""
    if watch:
        from analysis import live

        live.watch(results, port)
    elif export is not None:
        from analysis import export as figure_files
        from analysis.study.load import load

        written = figure_files.export(load(results), export)
        print("\n".join(map(files.shown, written)))
        if not any(file.suffix == ".svg" for file in written):
            print("No Chromium or Chrome was found: SVG, PNG and PDF are left out.", file=sys.stderr)
    else:
        print(files.shown(write_report(results, output)))


if __name__ == "__main__":
    run(main)
