"""Each figure of a report as files for elsewhere: the drawn points as CSV, and SVG and PNG by a browser.

Plotly draws in a browser, so pictures need one: the Chromium or Chrome that is installed draws the page's own figures,
without any further package. CSV needs none.
"""

import base64
import csv
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import plotly.offline

from analysis.page import page
from analysis.study import tables
from analysis.study.load import StudyData
from analysis.views import hypervolume, importance, sections, theme
from analysis.views.drawing import Chart
from evae.errors import UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
WIDTH, SCALE = 900, 2  # pixels, and PNG pixels to each of them
TIMEOUT_S = 300


def export(study: StudyData, folder: Path) -> list[Path]:
    """Write every figure of the study into `folder`: NAME.csv, and NAME.svg and NAME.png where there is a browser.

    Returns the files. Raises UserError when they cannot be written.
    """
    table = tables.configurations(study)
    front = tables.front(table, study.objectives)
    drawn = sections.draw(study, table, front, hypervolume.history(study, table), importance.shares(study, table))
    found = {chart.key: chart for section in drawn.values() for chart in section}
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for key, chart in found.items():
            files.append(write_csv(chart, folder / f"{key}.csv"))
        browser = next(filter(None, map(shutil.which, BROWSERS)), None)
        if browser is not None:
            for name, content in pictures(browser, found).items():
                (folder / name).write_bytes(content)
                files.append(folder / name)
    except OSError as error:
        raise UserError(f"cannot write the figures: {error}. Choose another folder with --export.") from None
    return files


def write_csv(chart: Chart, path: Path) -> Path:
    """One line a drawn point: series, id (of the configuration or trial), x, y; values as they were measured."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["series", "id", "x", "y"])
        for trace in chart.figure.data:
            ids = trace.customdata if trace.meta else [""] * len(trace.x)
            lines.writerows((trace.name, *point) for point in zip(ids, trace.x, trace.y, strict=True))
    return path


def pictures(browser: str, found: dict[str, Chart]) -> dict[str, bytes]:
    """NAME.svg and NAME.png of each figure. Raises UserError when the browser does not draw them."""
    drawn = [[key, page.plain(chart.figure)] for key, chart in found.items()]
    with tempfile.TemporaryDirectory(prefix="evae-export-") as scratch:
        place = Path(scratch) / "figures.html"
        place.write_text(_page(drawn), encoding="utf-8")
        arguments = ["--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={scratch}/profile"]
        # Root, as in containers, has no sandbox; the page is our own.
        command = [browser, *arguments, "--no-sandbox", "--virtual-time-budget=600000", "--dump-dom", place.as_uri()]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise UserError(f"{browser} took longer than {TIMEOUT_S} s to draw; the CSV files are there.") from None
    links = re.findall(r'<a id="([^"]+)" href="data:image/[^;,]+;base64,([^"]*)"', ran.stdout)
    if len(links) < 2 * len(found):
        said = ran.stderr.strip().splitlines()
        raise UserError(
            f"{browser} drew {len(links)} of {2 * len(found)} pictures ({said[-1] if said else 'no message'})."
        )
    return {name: base64.b64decode(text) for name, text in links}


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
