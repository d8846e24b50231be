"""A report as files for elsewhere: its tables as CSV, LaTeX and Markdown; of each figure the drawn points as CSV, and
SVG, PNG and PDF by a browser.

Plotly draws in a browser, so pictures need one: kaleido has the Chromium or Chrome that is installed draw the page's
own figures. All else needs none.
"""

import csv
import io
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import plotly.graph_objects as go

from analysis import files, papers
from analysis.page import page
from analysis.study import tables, verdicts
from analysis.study.load import StudyData
from analysis.views import hypervolume, importance, sections, theme
from analysis.views.drawing import Chart
from evae.errors import UserError
from evae.search.job import CONFIRM, SEARCH

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
WIDTH, SCALE = 900, 2  # pixels, and PNG pixels to each of them
FORMATS = ("svg", "png", "pdf")
TIMEOUT_S = 300  # of a picture
LONGEST_NAME = 200  # of a file, without its ending; file systems take 255 bytes


def export(study: StudyData, folder: Path) -> list[Path]:
    """Write every table of the study into `folder`, table-NAME.csv, .tex and .md, and every figure: NAME.csv, and
    NAME.svg, .png and .pdf where there is a browser; and the verdicts of its claims as numbers, if it has any.

    Returns the files. Raises UserError when they cannot be written.
    """
    table = tables.configurations(study)
    front = tables.front(table, study.objectives)
    drawn = sections.draw(study, table, front, hypervolume.history(study, table), importance.shares(study, table))
    found = named([chart for section in drawn.values() for chart in section])
    roles = dict(zip(study.trials["trial"], study.trials["role"], strict=True))
    roles |= {row.configuration: CONFIRM if row.confirmed else SEARCH for row in table.itertuples()}
    written = _write(folder, papers.files(papers.all_tables(study, front)))
    written += _write(folder, {f"{name}.csv": as_csv(chart, roles) for name, chart in found.items()})
    if judged := verdicts.verdicts(study):
        written += _write(folder, {"verdicts.csv": verdicts.numbers(judged).to_csv(index=False)})
    browser = _browser()
    return written + (_write(folder, pictures(browser, found)) if browser is not None else [])


def named(charts: Sequence[Chart]) -> dict[str, Chart]:
    """Charts by a name that any file system takes; a parameter's name, of which keys are made, may be any text."""
    found: dict[str, Chart] = {}
    for chart in charts:
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", chart.key)[:LONGEST_NAME]
        found[name if name not in found else f"{name}-{len(found)}"] = chart
    return found


def _write(folder: Path, contents: Mapping[str, str | bytes]) -> list[Path]:
    remedy = "Free some space, or choose another folder with --export."
    return [files.write(folder / name, content, remedy) for name, content in contents.items()]


def as_csv(chart: Chart, roles: Mapping[str, str]) -> str:
    """One line a drawn point: series, id (of the configuration or trial), role (of the trials that its values are of,
    from `roles` by id), x, y; values as they were measured."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["series", "id", "role", "x", "y"])
    for trace in chart.figure.data:
        ids = trace.customdata if trace.meta else [""] * len(trace.x)
        of_search = trace.meta == "configuration" and (chart.searched or trace.legendgroup == "chose")
        for id_, x, y in zip(ids, trace.x, trace.y, strict=True):
            lines.writerow((trace.name, id_, SEARCH if of_search else roles.get(id_, ""), x, y))
    return text.getvalue()


def pictures(browser: str, found: Mapping[str, Chart]) -> dict[str, bytes]:
    """NAME.svg, NAME.png and NAME.pdf of each figure, by the names of `named`. Raises UserError when the browser does
    not draw them, or there is no room for its own files.
    """
    layout = {"template": page.themes()["light"], "paper_bgcolor": "#ffffff", "font": {"family": theme.FONT}}
    wanted = {}
    for name, chart in found.items():
        plain = page.plain(chart.figure)
        figure = {"data": plain["data"], "layout": plain["layout"] | layout}
        size = {"width": WIDTH, "height": plain["layout"].get("height") or 420}
        for form in FORMATS:
            wanted[f"{name}.{form}"] = figure, size | {"scale": SCALE if form == "png" else 1}
    return _drawn(browser, wanted)


def svg(figure: go.Figure) -> str:
    """A figure that has its size and look, as SVG. Raises UserError as `pictures`, and where there is no browser."""
    if (browser := _browser()) is None:
        raise UserError(f"pictures need a browser that draws them: install Chromium or Chrome ({', '.join(BROWSERS)})")
    size = {"width": figure.layout.width, "height": figure.layout.height}
    return _drawn(browser, {"figure.svg": (page.plain(figure), size)})["figure.svg"].decode()


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _drawn(browser: str, wanted: Mapping[str, tuple[dict, dict]]) -> dict[str, bytes]:
    """The files of these names, of (figure, options) each."""
    import kaleido  # not before a picture is to be drawn

    try:
        with tempfile.TemporaryDirectory(prefix="evae-export-", ignore_cleanup_errors=True) as scratch:
            drawn = [
                {"fig": figure, "path": Path(scratch) / name, "opts": options | {"format": name.rpartition(".")[2]}}
                for name, (figure, options) in wanted.items()
            ]
            # MathJax would come from the web, and nothing here is set by it.
            kaleido.write_fig_from_object_sync(drawn, kopts={"path": browser, "mathjax": False, "timeout": TIMEOUT_S})
            return {path.name: path.read_bytes() for path in sorted(Path(scratch).iterdir())}
    except Exception as error:  # of its own kinds, of the browser's, of the disk
        words = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{browser} could not draw: {words[:500]}. The tables and CSV files are there.") from None
