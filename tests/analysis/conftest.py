from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import CHROMIUM, QUIET
from playwright.sync_api import Browser, sync_playwright
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
