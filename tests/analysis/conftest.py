from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import CHROMIUM, QUIET, new_page, open_page
from playwright.sync_api import Browser, Page, sync_playwright
from synthetic import write_confirmed_study, write_racing_study, write_study

from analysis.report import write_report
from analysis.study.load import StudyData, load


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_study(folder)
    return folder


@pytest.fixture(scope="session")
def study(results: Path) -> StudyData:
    return load(results)


@pytest.fixture(scope="session")
def racing(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    """A study in which trials were stopped early and replicates raced."""
    folder = tmp_path_factory.mktemp("racing")
    write_racing_study(folder)
    return load(folder)


@pytest.fixture(scope="session")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    """A study that ended with fresh seeds, which expose a lucky winner."""
    folder = tmp_path_factory.mktemp("confirmed")
    write_confirmed_study(folder)
    return load(folder)


@pytest.fixture(scope="session")
def report(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(results, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path) -> Iterator[tuple[Page, list[str]]]:
    page = new_page(browser, viewport={"width": 1400, "height": 900}, color_scheme="light")
    trouble = open_page(page, report)
    for chart in page.locator(".chart").all():
        chart.evaluate("place => place.scrollIntoView({behavior: 'instant'})")
        chart.locator(".main-svg").first.wait_for()
    yield page, trouble
    page.close()


@pytest.fixture
def page(opened: tuple[Page, list[str]]) -> Iterator[Page]:
    """The opened page, without selection and filters; what was done with it made no error and asked for nothing."""
    page, trouble = opened
    yield page
    page.evaluate("document.querySelector('#panel-close').click(); document.querySelector('#clear').click()")
    assert trouble == []
