"""Pages opened in a real browser, whose errors and requests are gathered."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs chromium at {CHROMIUM}")


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
