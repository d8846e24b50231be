"""The page in a real browser: it opens without the web, draws, sorts, and fits a telephone."""

import base64
import io
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from browsing import click_point, drawn_configurations, needs_chromium, new_page, open_page, show
from PIL import Image
from playwright.sync_api import Browser, Page
from synthetic import write_racing_study, write_study

from analysis.report import write_report
from analysis.study import tables
from analysis.study.load import StudyData

pytestmark = needs_chromium


def test_it_opens_without_errors_and_without_the_web(opened: tuple[Page, list[str]]) -> None:
    assert opened[1] == []


def test_it_fits_the_window(browser: Browser, report: Path) -> None:
    page = new_page(browser, viewport={"width": 400, "height": 900}, color_scheme="dark")
    assert open_page(page, report) == []
    for width in (400, 1400, 400):
        page.set_viewport_size({"width": width, "height": 900})
        show(page, "front")
        # Charts follow a new width a little later.
        page.wait_for_function(f"document.documentElement.scrollWidth <= {width}")
    page.close()


def test_every_chart_is_drawn_with_axis_titles(page: Page) -> None:
    titles = page.evaluate(
        "[...document.querySelectorAll('.chart:not([data-figure=parallel])')].map(c => "
        "[c.dataset.figure, c._fullLayout.xaxis.title.text, c._fullLayout.yaxis.title.text, "
        "c.querySelectorAll('.trace').length])"
    )
    wanted = {
        "front",
        "hypervolume",
        "importance",
        "timeline",
        "val_distortion_nats",
        "val_rate_nats",
        "rate-distortion",
    }
    assert wanted | {"slice-beta-gen_sharpness", "rate-gen_sharpness"} <= {t[0] for t in titles}
    for name, x, y, drawn in titles:
        assert x and y and "Click" not in x + y, name
        assert drawn > 0, name
    assert page.locator("[data-figure=parallel] .scatterlayer .trace").count() > 0


def test_front_shows_every_ranked_configuration_and_the_controls(page: Page, study: StudyData) -> None:
    traces = page.evaluate("document.querySelector('[data-figure=front]')._fullData.map(t => [t.name, t._length])")
    finished = study.trials[study.trials["state"] == "finished"]
    assert sum(length for _, length in traces) == finished["configuration"].nunique()
    names = " ".join(name for name, _ in traces)
    assert all(label in names for label in ("autoencoder", "VAE", "beta-VAE 0.1", "EVAE paper"))
    assert "real images 0.150" in page.locator("[data-figure=front]").text_content()


def test_the_mode_follows_the_system(page: Page) -> None:
    colour = "document.querySelector('[data-figure=front]')._fullLayout.font.color"
    show(page, "front")
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
    button = page.locator("#table").get_by_role("button", name="generation sharpness")
    button.click()
    measured = [float(v) for v in column(page, "generation sharpness") if v != "–"]
    assert measured == sorted(measured) and len(set(measured)) > 5
    button.click()
    values = column(page, "generation sharpness")
    missing = int((study.trials["state"] != "finished").sum())
    assert values[-missing:] == ["–"] * missing
    assert [float(v) for v in values[:-missing]] == sorted(measured, reverse=True)


def test_filters_keep_the_same_configurations_in_all_views(page: Page, study: StudyData) -> None:
    table = tables.configurations(study)
    ranked = tables.front(table, study.objectives)
    show(page, "front")
    page.locator("[data-filter=kernel]").select_option("cosine")
    page.locator("[data-filter=method]").select_option("kernel")
    wanted = set(ranked.loc[(ranked["kernel"] == "cosine") & (ranked["method"] == "kernel"), "configuration"])
    page.wait_for_function(f"document.querySelector('#kept').textContent.startsWith('{len(wanted)} of')")
    assert drawn_configurations(page, "front") == wanted and wanted
    assert {trial.rsplit("-s", 1)[0] for trial in column(page, "trial")} == wanted
    page.get_by_role("button", name="Clear").click()
    assert drawn_configurations(page, "front") == set(ranked["configuration"])


def test_seed_state_and_words_filter_trials(page: Page, study: StudyData) -> None:
    page.locator("[data-filter=seed]").select_option("1")
    assert set(column(page, "seed")) == {"1"}
    page.locator("[data-filter=state]").select_option("diverged")
    chosen = study.trials[(study.trials["seed"] == 1) & (study.trials["state"] == "diverged")]
    assert sorted(column(page, "trial")) == sorted(chosen["trial"])
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Filter trials").fill("diverged epoch")
    page.wait_for_function("document.querySelector('#clear').checkVisibility()")
    assert len(column(page, "trial")) == (study.trials["state"] == "diverged").sum() > 0
    page.get_by_role("button", name="Clear").click()


def shown_pictures(page: Page) -> dict[str, bytes]:
    """The panel's canvases of its own trial, decoded, by kind."""
    page.wait_for_function(
        "[...document.querySelectorAll('#panel canvas')].every(c => c.dataset.drawn) && "
        "document.querySelectorAll('#panel canvas').length > 0"
    )
    urls = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#panel .pictures:not(#beside) canvas')]"
        ".map(c => [c.dataset.kind, c.toDataURL()]))"
    )
    return {kind: base64.b64decode(url.partition(",")[2]) for kind, url in urls.items()}


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"), int)


def test_a_point_of_the_front_opens_its_own_pictures(page: Page, study: StudyData) -> None:
    configuration = click_point(page, "front")
    row = tables.configurations(study).set_index("configuration").loc[configuration]
    assert page.locator("#panel-title").text_content() == row["name"]
    stored = {picture["kind"]: picture["png"] for picture in study.pictures(row["trial"])}
    shown = shown_pictures(page)
    assert list(shown) == ["real", "reconstructed", "sampled", "interpolated", "perturbed"]
    for kind, png in shown.items():
        assert np.array_equal(pixels(png), pixels(stored[kind])), kind
    seeds = study.trials[study.trials["configuration"] == configuration]
    text = page.locator("#panel").text_content()
    assert all(trial in text for trial in seeds["trial"])
    assert page.locator("#panel .small .main-svg").count() >= 3
    page.keyboard.press("Escape")
    assert page.locator("#panel").is_hidden()


def test_a_control_stands_beside_what_is_open(page: Page, study: StudyData) -> None:
    """The plain VAE at first: what other posteriors' transitions are compared with; then whichever is chosen."""
    click_point(page, "front")
    stored = {t: {p["kind"]: p["png"] for p in study.pictures(t)} for t in controls(study).values()}
    for name in ("VAE", "EVAE paper"):
        page.get_by_label("Beside it").select_option(label=name)
        page.wait_for_function(
            "[...document.querySelectorAll('#beside canvas')].every(c => c.dataset.drawn && "
            f"c.getAttribute('aria-label').endsWith(', {name}'))"
        )
        shown = page.evaluate(
            "[...document.querySelectorAll('#beside canvas')].map(c => [c.dataset.kind, c.toDataURL()])"
        )
        assert [kind for kind, _ in shown] == ["reconstructed", "sampled", "interpolated", "perturbed"]
        for kind, url in shown:
            png = base64.b64decode(url.partition(",")[2])
            assert np.array_equal(pixels(png), pixels(stored[controls(study)[name]][kind])), (name, kind)
    page.keyboard.press("Escape")


def controls(study: StudyData) -> dict[str, str]:
    """The first trial of each control, by its label."""
    first = study.trials[study.trials["label"].notna()].drop_duplicates("label")
    return dict(zip(first["label"], first["trial"], strict=True))


def test_the_copied_command_holds_the_recipe_and_what_the_trial_ran_on(page: Page, study: StudyData) -> None:
    configuration = click_point(page, "front", 2)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy command").click()
    page.get_by_role("button", name="Copied").wait_for()
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[:3] == ["python", "-m", "evae.repeat"]
    trial = study.trials[study.trials["configuration"] == configuration].iloc[0]
    assert json.loads(words[3]) == json.loads(trial["recipe"]) | {"seed": int(trial["seed"])}
    ran = {"device": "cpu", "precision": "bf16", "processor": "Some CPU @ 2.50GHz, AVX2", "threads": "1"}
    assert words[4:] == [word for name, value in ran.items() for word in (f"--{name}", value)]
    page.keyboard.press("Escape")


def test_a_link_to_a_configuration_opens_it(browser: Browser, report: Path, study: StudyData) -> None:
    row = tables.configurations(study).iloc[0]
    page = new_page(browser, viewport={"width": 1600, "height": 900})
    page.goto(f"{report.as_uri()}#configuration-{row['configuration']}")
    assert page.locator("#panel-title").text_content() == row["name"]
    page.locator("[data-filter=state]").select_option("diverged")
    page.locator("#clear").click()  # which a wide window has beside the panel
    page.close()


def test_pictures_are_shown_crisp_and_stored_once(page: Page, report: Path, study: StudyData) -> None:
    page.locator("#pictures").evaluate("place => place.scrollIntoView({behavior: 'instant'})")
    shown = "[...document.querySelectorAll('#pictures canvas')]"
    page.wait_for_function(f"{shown}.length > 3 && {shown}.some(c => c.dataset.drawn)")
    styles = page.evaluate(f"{shown}.map(c => [c.width, getComputedStyle(c).imageRendering])")
    assert {width for width, _ in styles} == {8 * 32, 9 * 32} and {look for _, look in styles} == {"pixelated"}
    text = report.read_text(encoding="utf-8")
    some = base64.b64encode(study.pictures(study.trials["trial"].iloc[0])[0]["png"]).decode()
    assert text.count(some) == 1
    assert text.count("plotly.js v") == 1


def test_pictures_that_nobody_came_near_are_there_for_the_printer(browser: Browser, report: Path) -> None:
    page = new_page(browser, viewport={"width": 800, "height": 600})
    assert open_page(page, report) == []
    page.wait_for_function("document.querySelectorAll('.gallery .pictures:empty').length === 0")
    page.wait_for_function("document.querySelectorAll('.gallery canvas:not([data-drawn])').length === 0")
    assert page.evaluate("scrollY") == 0 and page.locator(".gallery canvas").count() > 10
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    page.close()


def test_rungs_stops_and_gaps_are_shown(browser: Browser, tmp_path: Path) -> None:
    store = write_racing_study(tmp_path)
    page = new_page(browser, viewport={"width": 1400, "height": 900})
    trouble = open_page(page, write_report(tmp_path))
    show(page, "val_distortion_nats")
    stopped = "document.querySelector('[data-figure=val_distortion_nats]').data.find(t => t.name === 'stopped early')"
    assert sorted(page.evaluate(f"{stopped}.customdata.map(i => report.trials[i].state)")) == ["stopped", "stopped"]
    assert "2 of 12 stopped" in page.locator("[data-figure=val_distortion_nats]").text_content()
    by_trial = {row["trial"]: row for row in store.read("trials").to_pylist()}
    raw = dict(zip(column(page, "trial"), column(page, "reconstruction sharpness"), strict=True))
    assert {t: float(v) for t, v in raw.items() if v != "–"} == {
        t: pytest.approx(row["rec_sharpness"], rel=1e-3) for t, row in by_trial.items() if row["state"] == "finished"
    }
    trial = next(t for t, row in by_trial.items() if row["state"] == "stopped")
    page.locator("#table tbody tr", has_text=trial).locator("button").click()
    assert by_trial[trial]["reason"] in page.locator("#panel").text_content()
    show(page, "front")
    assert "sharpness gap, lower is better" in page.locator("[data-figure=front]").text_content()
    assert trouble == []
    page.close()


@pytest.mark.slow
def test_two_hundred_trials_stay_small_and_draw(browser: Browser, tmp_path: Path) -> None:
    write_study(tmp_path, configurations=100, seeds=2)
    assert (path := write_report(tmp_path)).stat().st_size < 15e6
    page = new_page(browser)
    assert open_page(page, path) == []
    page.close()
