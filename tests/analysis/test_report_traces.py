"""Stack traces of failed trials: folded up, whole when unfolded, and copied as they are."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from browsing import needs_chromium, open_page
from playwright.sync_api import Browser, Locator
from synthetic import TRACE

from analysis.page import page
from analysis.study import details, tables
from analysis.study.load import StudyData


def few(study: StudyData) -> pd.DataFrame:
    """Trials that failed, and of the first five configurations, of which a page is drawn sooner than of all."""
    kept = (study.trials["state"] == "failed") | (study.trials["number"] < 5)
    return study.trials[kept].reset_index(drop=True)


def test_each_trace_is_kept_once(study: StudyData) -> None:
    traced = study.trials["traceback"].notna()
    assert list(traced) == list(study.trials["state"] == "failed") and traced.sum() > 1
    assert details.traces(study) == [TRACE]
    found = details.trials(study, tables.configurations(study))
    assert [trial["trace"] for trial in found] == [0 if one else None for one in traced]


def test_traces_beyond_the_room_are_left_in_the_results(study: StudyData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(details, "TRACES", len(TRACE) + 100)
    trials = few(study)
    failed = trials.index[trials["state"] == "failed"]
    trials.loc[failed, "traceback"] = [f"{TRACE} in try {i}" for i in range(len(failed))]
    many = replace(study, trials=trials)
    found = details.trials(many, tables.configurations(many))
    assert [found[i]["trace"] for i in failed] == [0] + [-1] * (len(failed) - 1)
    assert "had no room on this page" in page.render(many)


def test_a_reason_shows_the_trace_of_one_of_its_trials(study: StudyData) -> None:
    for row in tables.failures(study).itertuples():
        assert (row.traced in row.trials) if row.state == "failed" else row.traced == ""
    older = replace(study, trials=few(study).assign(traceback=None))
    assert set(tables.failures(older)["traced"]) == {""}
    assert page.render(older)


def unfold(trace: Locator) -> None:
    assert not trace.locator("pre").count()
    trace.locator("summary").click()
    assert trace.locator("pre").text_content() == TRACE


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_a_trace_unfolds_fits_and_is_copied(browser: Browser, report: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    trouble = open_page(page, report)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    table = page.locator("#trials .trace")
    unfold(table)
    pre = table.locator("pre")
    # Long lines scroll, and make nothing else wide.
    assert pre.evaluate("place => place.scrollWidth > place.clientWidth") == (width == 400)
    assert "mono" in pre.evaluate("place => getComputedStyle(place).fontFamily")
    configuration = page.evaluate("report.trials.find(trial => trial.trace !== null).configuration")
    page.evaluate(f"report.panel.open({configuration}, null)")
    unfold(page.locator("#panel .trace").first)
    page.locator("#panel").get_by_role("button", name="Copy stack trace").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == TRACE
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("(place => place.scrollWidth - place.clientWidth)(document.querySelector('#panel'))") == 0
    page.emulate_media(media="print")
    for shown in page.locator(".trace pre").all():
        assert shown.evaluate(
            "place => place.scrollWidth <= place.clientWidth && place.scrollHeight <= place.clientHeight"
        )
    assert trouble == []
    page.close()
