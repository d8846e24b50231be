"""The report's cost: CPU seconds to build it, its size, and how soon a browser lets its reader act.

    python benchmarks/report.py [--trials 1000 10000] [--opened 5]

Each study is made up (`tests/analysis/synthetic.py`): two seeds a configuration, eight epochs and pictures of five
kinds a trial. Building runs in its own process, imports included, of which all CPU seconds (user and system, of every
thread) count. Opening is that of a fresh Chromium without a debugger, which would compile plotly.js more slowly: from
navigation until charts, panel, filters and table answer, and until the front is drawn as well, by the marks that the
page sets; the median of `--opened` with its range. Goals for 1,000 trials: 10 s on two cores, 15 MB, 2 s.
"""

import argparse
import html
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _record import table, write_result
from playwright.sync_api import Playwright, sync_playwright

ROOT = Path(__file__).parents[1]
CHROMIUM = "/usr/bin/chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
SETTLED_S = 10.0
"""By then a page has set its marks."""
THINNED = re.compile(r"[^.;<>]*(?:are drawn|had no room|first rows only)[^.<>]*\.?|[\d,]+ of [\d,]+ drawn")
"""What a page says of itself about what it leaves out."""


def build(results: Path) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of `python analysis/report.py RESULTS`."""
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "analysis/report.py", results], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - clock
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def opened(playwright: Playwright, report: Path) -> tuple[float, float]:
    """(seconds until the page answers, seconds until its front is drawn as well), opened at the front."""
    with tempfile.TemporaryDirectory() as profile:
        port = Path(profile) / "DevToolsActivePort"
        command = [CHROMIUM, *QUIET, "--headless", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        chromium = subprocess.Popen([*command, f"{report.as_uri()}#front"], stderr=subprocess.DEVNULL)
        try:
            time.sleep(SETTLED_S)
            browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port.read_text().split()[0]}")
            (page,) = (page for context in browser.contexts for page in context.pages)
            found = page.evaluate("['ready', 'front'].map((name) => performance.getEntriesByName(name)[0].startTime)")
            browser.close()
        finally:
            chromium.terminate()
            chromium.wait()
    ready, drawn = (milliseconds / 1000 for milliseconds in found)
    return ready, drawn


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def measure(trials: int, times: int) -> tuple[dict[str, str], list[str]]:
    """A line of the table, and what the page says it left out."""
    with tempfile.TemporaryDirectory() as folder:
        make = [sys.executable, "tests/analysis/synthetic.py", folder, "--configurations", str(trials // 2)]
        subprocess.run([*make, "--seeds", "2"], check=True, cwd=ROOT)
        cpu, wall = build(Path(folder))
        report = Path(folder) / "report.html"
        with sync_playwright() as playwright:
            ready, drawn = zip(*(opened(playwright, report) for _ in range(times)), strict=True)
        line = {
            "trials": f"{trials:,}",
            "CPU s to build": f"{cpu:.1f}",
            "wall s to build": f"{wall:.1f}",
            "MB": f"{report.stat().st_size / 1e6:.1f}",
            "s until it answers": spread(list(ready)),
            "s until the front is drawn": spread(list(drawn)),
        }
        text = report.read_text(encoding="utf-8")
    body = text[text.index("<body") : text.index("<script", text.index("<body"))]
    said = [html.unescape(found).strip() for found in THINNED.findall(body)]
    return line, list(dict.fromkeys(said))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--opened", type=int, default=5)
    arguments = parser.parse_args()
    measured = [(trials, *measure(trials, arguments.opened)) for trials in arguments.trials]
    text = f"Load average over the last five minutes: {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores.\n\n"
    text += table([line for _, line, _ in measured])
    for trials, _, said in measured:
        text += f"\n{trials:,} trials; the page says of what it leaves out:\n\n"
        text += "".join(f"- {sentence}\n" for sentence in said) or "- nothing.\n"
    write_result("report", "Size and speed of the report", text)
