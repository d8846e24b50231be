"""The page in a real browser: it opens without the web, draws, sorts, and fits a telephone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from synthetic import write_study

from analysis.load import StudyData
from analysis.report import write_report

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium at /usr/bin/chromium")


@pytest.fixture(scope="module")
def report(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(results, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path) -> Iterator[tuple[Page, list[str]]]:
    page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="light")
    trouble = open_page(page, report)
    for chart in page.locator(".chart").all():
        chart.evaluate("place => place.scrollIntoView({behavior: 'instant'})")
        chart.locator(".main-svg").first.wait_for()
    yield page, trouble
    page.close()


@pytest.fixture
def page(opened: tuple[Page, list[str]]) -> Page:
    return opened[0]


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


def test_it_opens_without_errors_and_without_the_web(opened: tuple[Page, list[str]]) -> None:
    assert opened[1] == []


@pytest.mark.parametrize("width", [400, 1400])
def test_it_fits_the_window(browser: Browser, report: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark")
    assert open_page(page, report) == []
    page.locator("[data-figure=front]").evaluate("place => place.scrollIntoView({behavior: 'instant'})")
    page.locator("[data-figure=front] .main-svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_every_chart_is_drawn_with_axis_titles(page: Page) -> None:
    titles = page.evaluate(
        "[...document.querySelectorAll('.chart:not([data-figure=parallel])')].map(c => "
        "[c.dataset.figure, c._fullLayout.xaxis.title.text, c._fullLayout.yaxis.title.text, "
        "c.querySelectorAll('.trace').length])"
    )
    assert {"front", "importance", "timeline", "val_distortion_nats", "val_rate_nats"} <= {t[0] for t in titles}
    for name, x, y, drawn in titles:
        assert x and y and "Click" not in x + y, name
        assert drawn > 0, name
    assert page.locator(".chart .parcoords").count() > 0


def test_front_shows_every_ranked_configuration_and_the_controls(page: Page, study: StudyData) -> None:
    traces = page.evaluate("document.querySelector('[data-figure=front]')._fullData.map(t => [t.name, t._length])")
    finished = study.trials[study.trials["state"] == "finished"]
    assert sum(length for _, length in traces) == finished["configuration"].nunique()
    names = " ".join(name for name, _ in traces)
    assert all(label in names for label in ("autoencoder", "VAE", "beta-VAE 0.1", "EVAE paper"))
    assert "real images 0.150" in page.locator("[data-figure=front]").text_content()


def test_the_mode_follows_the_system(page: Page) -> None:
    colour = "document.querySelector('[data-figure=front]')._fullLayout.font.color"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{colour} !== '{light}'")
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"{colour} === '{light}'")


def column(page: Page, title: str) -> list[str]:
    index = page.locator("#table th").all_text_contents().index(title)
    return page.evaluate(f"[...document.querySelectorAll('#table tbody tr')].map(r => r.cells[{index}].textContent)")


def test_table_lists_all_trials_and_sorts(page: Page, study: StudyData) -> None:
    assert sorted(column(page, "trial")) == sorted(study.trials["trial"])
    button = page.get_by_role("button", name="generation sharpness")
    button.click()
    measured = [float(v) for v in column(page, "generation sharpness") if v != "–"]
    assert measured == sorted(measured) and len(set(measured)) > 5
    button.click()
    values = column(page, "generation sharpness")
    missing = int((study.trials["state"] != "finished").sum())
    assert values[-missing:] == ["–"] * missing
    assert [float(v) for v in values[:-missing]] == sorted(measured, reverse=True)


def test_table_filters(page: Page, study: StudyData) -> None:
    page.get_by_label("Filter trials").fill("diverged")
    shown = page.locator("#table tbody tr:visible").count()
    page.get_by_label("Filter trials").fill("")
    assert shown == (study.trials["state"] == "diverged").sum() > 0


def test_pictures_are_shown_crisp_and_stored_once(page: Page, report: Path) -> None:
    images = page.evaluate(
        "[...document.querySelectorAll('img')].map(i => [i.naturalWidth, getComputedStyle(i).imageRendering, i.src])"
    )
    assert len(images) >= 16
    assert all(width == 256 and rendering == "pixelated" for width, rendering, _ in images)
    text = report.read_text(encoding="utf-8")
    for source in {source for _, _, source in images}:
        assert text.count(source) == 1


@pytest.mark.slow
def test_two_hundred_trials_stay_small_and_draw(browser: Browser, tmp_path: Path) -> None:
    write_study(tmp_path, configurations=100, seeds=2)
    path = write_report(tmp_path)
    assert path.stat().st_size < 15e6
    page = browser.new_page()
    assert open_page(page, path) == []
    page.close()


HOSTILE = (
    "<img src='https://elsewhere.example/x' onerror='window.ran=1'><svg onload='window.ran=1'>"
    '</script><script>window.ran=1</script>{{ 7*7 }}"onmouseover="window.ran=1" '
    "<a href='javascript:window.ran=1'>&lt;script&gt;window.ran=1&lt;/script&gt;"
)
TEXTS = {
    "trials": ["label", "reason", "origin", "method", "state", "slot", "device", "param_kernel", "rate_is"],
    "study": ["study", "question", "command", "git_commit", "state"],
}


def hostile(value: object) -> object:
    """The same JSON with hostile names and texts."""
    if isinstance(value, dict):
        return {name: hostile(inner) for name, inner in value.items()} | {HOSTILE: HOSTILE}
    return HOSTILE if isinstance(value, str) else value


def write_hostile_study(folder: Path) -> None:
    """A study with markup and scripts in every text that somebody could have put there."""
    store = write_study(folder, configurations=16, seeds=1)
    for row in store.read("trials").to_pylist():
        drawn = row["state"] == "finished" and row["number"] % 2
        texts = {name: HOSTILE for name in TEXTS["trials"] if not (drawn and name == "state")}
        texts |= {"params": json.dumps(hostile(json.loads(row["params"]))), f"param_{HOSTILE}": HOSTILE}
        if row["distances"]:
            texts["distances"] = json.dumps({k: hostile(v) for k, v in json.loads(row["distances"]).items()})
        store.write("trials", row["trial"], [row | texts])
    for row in store.read("study").to_pylist():
        texts = {name: HOSTILE for name in TEXTS["study"]}
        texts |= {
            name: json.dumps(hostile(json.loads(row[name]))) for name in ("options", "packages", "hardware", "data")
        }
        store.write("study", row["session"], [row | texts])
    for row in store.read("images").to_pylist():
        store.write("images", row["trial"], [row | {"kind": HOSTILE}, row | {"png": HOSTILE.encode()}])


def test_what_others_wrote_into_the_results_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    write_hostile_study(tmp_path)
    report = write_report(tmp_path)
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    trouble = open_page(page, report)
    for chart in page.locator(".chart").all():
        chart.evaluate("place => place.scrollIntoView({behavior: 'instant'})")
        chart.locator(".main-svg").first.wait_for()
        for point in chart.locator(".point").all()[:3]:
            point.hover(force=True)
    page.get_by_role("button", name="reason").click()
    page.get_by_label("Filter trials").fill("script")
    assert "<script>window.ran=1</script>" in page.locator("#table").text_content()  # it is there, as text
    assert page.evaluate("window.ran") is None
    assert page.evaluate("[...document.querySelectorAll('script')].length") == 3
    assert page.locator("[onerror], [onload], [onmouseover], [*|href^='javascript' i]").count() == 0
    # Plotly's own complaint about a mouse that moves.
    assert [text for text in trouble if "Cannot set property target" not in text] == []
    page.close()
