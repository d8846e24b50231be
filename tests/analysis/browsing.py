"""Pages opened in a real browser, whose errors and requests are gathered."""

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
