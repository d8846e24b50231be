"""A report of results that somebody else wrote: names and texts are shown, and never run."""

import json
from pathlib import Path

from browsing import needs_chromium, new_page, open_page
from playwright.sync_api import Browser
from synthetic import write_study

from analysis.report import write_report

pytestmark = needs_chromium
HOSTILE = (
    "<img src='https://elsewhere.example/x' onerror='window.ran=1'><svg onload='window.ran=1'>"
    '</script><script>window.ran=1</script>{{ 7*7 }}"onmouseover="window.ran=1" '
    "<a href='javascript:window.ran=1'>&lt;script&gt;window.ran=1&lt;/script&gt;"
)
TEXTS = {
    "trials": [
        "label",
        "reason",
        "traceback",
        "origin",
        "method",
        "state",
        "slot",
        "device",
        "param_kernel",
        "rate_is",
    ],
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
        claim = {"text": HOSTILE, "left": HOSTILE, "right": "VAE", "less": True, "factor": 1.0, "metric": HOSTILE}
        texts["claims"] = json.dumps([{"claim": claim | {"direction": HOSTILE}, "session": HOSTILE, "trials": 1}])
        store.write("study", row["session"], [row | texts])
    for row in store.read("images").to_pylist():
        store.write("images", row["trial"], [row | {"kind": HOSTILE}, row | {"png": HOSTILE.encode()}])


def test_what_others_wrote_into_the_results_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    write_hostile_study(tmp_path)
    report = write_report(tmp_path)
    page = new_page(browser, viewport={"width": 1400, "height": 900})
    trouble = open_page(page, report)
    for chart in page.locator(".chart").all():
        chart.evaluate("place => place.scrollIntoView({behavior: 'instant'})")
        chart.locator(".main-svg").first.wait_for()
        for point in chart.locator(".point").all()[:3]:
            point.hover(force=True)
    page.get_by_role("button", name="reason").click()
    page.get_by_label("Filter trials").fill("script")
    for place in ("#table", "#verdicts"):  # it is there, as text
        assert "<script>window.ran=1</script>" in page.locator(place).text_content()
    assert page.evaluate("window.ran") is None
    assert page.evaluate("[...document.querySelectorAll('script')].length") == 4  # the report's own
    assert page.locator("[onerror], [onload], [onmouseover], [*|href^='javascript' i]").count() == 0
    # Plotly's own complaint about a mouse that moves.
    assert [text for text in trouble if "Cannot set property target" not in text] == []
    page.close()
