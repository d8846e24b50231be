"""Pages opened in a real browser, whose errors and requests are gathered, and their charts."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip
DEADLINE_MS = 300_000.0
"""No step takes so long; it keeps a page that hangs from hanging the tests."""
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs chromium at {CHROMIUM}")


def new_page(browser: Browser, **options: Any) -> Page:
    page = browser.new_page(**options)
    page.set_default_timeout(DEADLINE_MS)
    return page


def open_page(page: Page, report: Path) -> list[str]:
    """Open it; returns a list that gathers errors, and requests for anything but the page itself."""
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on(
        "request",
        lambda request: trouble.append(request.url[:80]) if is_foreign(request.url, report) else None,
    )
    page.goto(report.as_uri())
    return trouble


def is_foreign(url: str, report: Path) -> bool:
    return not url.startswith((report.as_uri(), "data:", "blob:"))


def show(page: Page, figure: str) -> None:
    page.locator(f"[data-figure='{figure}']").evaluate("place => place.scrollIntoView({behavior: 'instant'})")
    page.locator(f"[data-figure='{figure}'] .main-svg").first.wait_for()
    # A chart that was out of sight is drawn anew a frame or two after it has come near.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")


def drawn_configurations(page: Page, figure: str) -> set[str]:
    """What a chart shows after the filters, by id."""
    return set(
        page.evaluate(
            f"document.querySelector('[data-figure=\"{figure}\"]').data.filter(t => t.meta === 'configuration')"
            ".flatMap(t => t.customdata.map(c => report.configurations[c].id))"
        )
    )


def point(page: Page, figure: str, place: int = 0) -> tuple[float, float, int, str]:
    """A point of the trace "front" or of the first that is linked, in sight: x and y in the window, its place in the
    report's data, and the id of its configuration."""
    show(page, figure)
    return tuple(
        page.evaluate(
            f"""(() => {{
                const place = document.querySelector("[data-figure='{figure}']");
                const trace = place.data.find(t => t.name === "front") ?? place.data.find(t => t.meta);
                const {{xaxis, yaxis}} = place._fullLayout, box = place.getBoundingClientRect();
                const i = {place} % trace.x.length, c = trace.customdata[i];
                return [box.left + xaxis._offset + xaxis.d2p(trace.x[i]),
                        box.top + yaxis._offset + yaxis.d2p(trace.y[i]),
                        c, report.configurations[report.configurationOf(trace.meta, c)].id];
            }})()"""
        )
    )


def click_point(page: Page, figure: str, place: int = 0) -> str:
    """Click that point; the id of its configuration."""
    x, y, c, configuration = point(page, figure, place)
    page.mouse.move(x - 30, y - 2)
    page.mouse.move(x, y, steps=4)
    # Plotly looks for the point below the mouse a little later.
    page.wait_for_function(
        "([figure, c]) => document.querySelector(`[data-figure='${figure}']`)"
        "._hoverdata?.some(point => String(point.customdata) === String(c))",
        arg=[figure, c],
    )
    page.mouse.click(x, y)
    page.locator("#panel").wait_for()
    return configuration
