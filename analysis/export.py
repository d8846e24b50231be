"""Each figure of a report as files for elsewhere: the drawn points as CSV, and SVG and PNG by a browser.

Plotly draws in a browser, so pictures need one: the Chromium or Chrome that is installed draws the page's own figures,
without any further package. CSV needs none.
"""

import base64
import csv
import io
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import plotly.offline

from analysis import files
from analysis.page import page
from analysis.study import tables, verdicts
from analysis.study.load import StudyData
from analysis.views import hypervolume, importance, sections, theme
from analysis.views.drawing import Chart
from evae.errors import UserError
from evae.search.job import CONFIRM, SEARCH

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
WIDTH, SCALE = 900, 2  # pixels, and PNG pixels to each of them
TIMEOUT_S = 300
LONGEST_NAME = 200  # of a file, without its ending; file systems take 255 bytes


def export(study: StudyData, folder: Path) -> list[Path]:
    """Write every figure of the study into `folder`: NAME.csv, and NAME.svg and NAME.png where there is a browser; and
    the verdicts of its claims, if it has any.

    Returns the files. Raises UserError when they cannot be written.
    """
    table = tables.configurations(study)
    front = tables.front(table, study.objectives)
    drawn = sections.draw(study, table, front, hypervolume.history(study, table), importance.shares(study, table))
    found = named([chart for section in drawn.values() for chart in section])
    roles = dict(zip(study.trials["trial"], study.trials["role"], strict=True))
    roles |= {row.configuration: CONFIRM if row.confirmed else SEARCH for row in table.itertuples()}
    written = _write(folder, {f"{name}.csv": as_csv(chart, roles) for name, chart in found.items()})
    if judged := verdicts.verdicts(study):
        written += _write(folder, {"verdicts.csv": verdicts.numbers(judged).to_csv(index=False)})
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
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


def pictures(browser: str, found: dict[str, Chart]) -> dict[str, bytes]:
    """NAME.svg and NAME.png of each figure, by the names of `named`. Raises UserError when the browser does not draw
    them, or has no room for its own files.
    """
    drawn = [[key, page.plain(chart.figure)] for key, chart in found.items()]
    try:
        ran = _draw(browser, _page(drawn))
    except subprocess.TimeoutExpired:
        raise UserError(f"{browser} took longer than {TIMEOUT_S} s to draw; the CSV files are there.") from None
    except OSError as error:
        raise UserError(f"{browser} could not draw: {error}. The CSV files are there.") from None
    links = re.findall(r'<a id="([^"]+)" href="data:image/[^;,]+;base64,([^"]*)"', ran.stdout)
    if len(links) < 2 * len(found):
        said = ran.stderr.strip().splitlines()
        raise UserError(
            f"{browser} drew {len(links)} of {2 * len(found)} pictures ({said[-1] if said else 'no message'})."
        )
    return {name: base64.b64decode(text) for name, text in links}


def _draw(browser: str, text: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="evae-export-", ignore_cleanup_errors=True) as scratch:
        place = Path(scratch) / "figures.html"
        place.write_text(text, encoding="utf-8", errors="backslashreplace")
        arguments = ["--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={scratch}/profile"]
        # Root, as in containers, has no sandbox; the page is our own.
        command = [browser, *arguments, "--no-sandbox", "--virtual-time-budget=600000", "--dump-dom", place.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)


def _page(drawn: list[list[object]]) -> str:
    layout = {"template": page.themes()["light"], "paper_bgcolor": "#ffffff", "font": {"family": theme.FONT}}
    script = f"""
      const drawn = {page.script_json(drawn)}, common = {json.dumps(layout)};
      (async () => {{
        for (const [key, figure] of drawn) for (const format of ["svg", "png"]) {{
          const scale = format === "png" ? {SCALE} : 1;
          const size = {{ format, width: {WIDTH}, height: figure.layout.height ?? 420, scale }};
          const url = await Plotly.toImage({{ data: figure.data, layout: {{ ...figure.layout, ...common }} }}, size);
          const [head, body] = [url.slice(0, url.indexOf(",")), url.slice(url.indexOf(",") + 1)];
          const text = head.includes("base64") ? body : btoa(unescape(encodeURIComponent(decodeURIComponent(body))));
          const link = document.createElement("a");
          link.id = key + "." + format;
          link.href = "data:image/" + format + ";base64," + text;
          document.body.append(link);
        }}
      }})();"""
    scripts = f"<script>{plotly.offline.get_plotlyjs()}</script><script>{script}</script>"
    return f"<!doctype html><meta charset='utf-8'><body>{scripts}</body>"
