"""The verdicts that a report begins with."""

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import needs_chromium, new_page, open_page
from synthetic import CONTROLS, DISTANCE, write_study

from analysis.export import export
from analysis.live import Live
from analysis.page.page import render
from analysis.report import write_report
from analysis.study import verdicts
from analysis.study.load import load
from evae.results.store import Store
from evae.search.claims import Comparison, Explained, Stated
from evae.search.job import CONFIRM, FIRST_FRESH

LESS = Comparison("EVAE < VAE in gen_fd", "EVAE paper", "VAE", True, 1.0, DISTANCE, "min")
BEST = Comparison("VAE > best kernel in gen_fd", "VAE", "best method kernel", False, 1.0, DISTANCE, "min")
SHARE = Explained("kernel explains < 0.1 of gen_fd", "kernel", True, 0.1, DISTANCE, "min")
LATE = {"trials": 24, "first_seed": FIRST_FRESH + 8, "first_number": 99}


def state(store: Store, *claims: Any, **changes: Any) -> None:
    """Write claims, or what stands for them, and other columns, into the manifest."""
    row = store.read("study").to_pylist()[0]
    plain = [claim.to_dict() if isinstance(claim, Stated) else claim for claim in claims]
    store.write("study", row["session"], [row | {"claims": json.dumps(plain)} | changes])


def confirm(store: Store, label: str, values: list[float], **more: Any) -> None:
    """Fresh seeds with these distances."""
    row = next(r for r in store.rows("trials") if r["label"] == label)
    for i, value in enumerate(values):
        trial = f"{row['configuration']}-s{FIRST_FRESH + i}"
        fresh = row | {"trial": trial, "seed": FIRST_FRESH + i, "role": CONFIRM, DISTANCE: value, "wall_s": 60.0}
        store.write("trials", trial, [fresh | more])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verdicts")
    store = write_study(folder, configurations=12, seeds=1, with_pictures=0)
    noise = np.random.default_rng(0).normal(size=20)
    confirm(store, "EVAE paper", list(20 + noise[:8]))
    confirm(store, "VAE", list(30 + noise[8:16]))
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    """A copy of it, to be changed."""
    return Store(shutil.copytree(made, tmp_path / "study"))


def test_a_row_a_claim_with_size_interval_seeds_and_when_it_was_stated(store):
    assert {label for label, *_ in CONTROLS} >= {"EVAE paper", "VAE"}
    state(store, Stated(LESS, "s"), Stated(SHARE, "s"), Stated(BEST, "t", **LATE))
    study = load(store)
    found = verdicts.verdicts(study)
    holds, share, best = verdicts.table(found).to_dict("records")
    assert holds["verdict"] == "holds" and holds["size"] == f"−{-found[0].size:.2f} (30 % less)"
    low, high = map(float, holds["interval"].replace("−", "-").split(" to "))
    assert low < found[0].size < high < 0
    assert (holds["evidence"], holds["stated"], holds["taking"]) == ("8 fresh seeds", "before results", "")
    assert [name for _, name in (holds["left"], holds["right"])] == ["EVAE paper", "VAE"]
    assert share["verdict"] == "undecided" and "first looked at with 20 configurations" in share["taking"]
    assert share["interval"] == "–" and share["left"] is None and share["evidence"].endswith(" configurations")
    assert best["stated"] == "after 24 trials" and best["taking"].startswith("no fresh seed has been trained of both")
    (note,) = verdicts.notes(study, found)
    assert "All 3 claims together are" in note and "each in 1.7" in note and "only what was trained after" in note


def test_a_study_without_fresh_seeds_says_that_nothing_is_confirmed(tmp_path, store):
    early = write_study(tmp_path / "early", configurations=12, seeds=1, with_pictures=0)
    for made, begins in ((early, True), (store, False)):
        state(made, Stated(LESS, "s"), Stated(SHARE, "s"))
        study = load(made)
        assert verdicts.notes(study, verdicts.verdicts(study))[0].startswith("Nothing is confirmed") == begins
    state(early, Stated(SHARE, "s"))  # which needs none
    assert "confirmed" not in verdicts.notes(load(early), verdicts.verdicts(load(early)))[0]


def test_a_study_on_two_kinds_of_devices_says_which_seeds_count(store):
    for row in store.rows("trials"):
        device = "cuda" if row["label"] == "VAE" else "cpu"
        store.write("trials", row["trial"], [row | {"device": device, "precision": "fp32"}])
    state(store, Stated(LESS, "s"))
    study = load(store)
    (found,) = verdicts.verdicts(study)
    assert (found.n, found.apart, found.said) == (0, 8, "undecided")
    (note,) = verdicts.notes(study, [found])
    assert "Trials ran on cpu and cuda: a seed counts for a comparison where both sides ran on the same" in note
    (row,) = verdicts.table([found]).to_dict("records")
    assert row["evidence"] == "0 fresh seeds, 8 more on different devices left out"


def test_what_chose_is_the_search_and_what_decides_its_fresh_seeds(store):
    trials = store.read("trials").to_pylist()
    among = [r for r in trials if r["method"] == "kernel" and r["state"] == "finished"]
    best = min(among, key=lambda row: row[f"val_{DISTANCE}"])
    state(store, Stated(BEST, "s"))
    (found,) = verdicts.verdicts(load(store))
    assert found.right == best["configuration"] and found.n == 0


def test_seeds_of_fewer_epochs_than_the_search_has_asked_of_since_do_not_count(store):
    row = next(r for r in store.read("trials").to_pylist() if r["label"] == "VAE" and r["role"] == CONFIRM)
    store.write("trials", row["trial"], [row | {"epochs_planned": row["epochs_planned"] - 1}])
    state(store, Stated(LESS, "s"))
    assert verdicts.verdicts(load(store))[0].n == 7


def test_a_study_that_ran_out_of_its_budget_says_so(store):
    confirm(store, "VAE", [20.0 + (-1) ** i for i in range(8)])
    for budget, said in ((0.01, "the budget of 0.01 hours of training is spent"), (1e6, "1 claim stays undecided.")):
        state(store, Stated(LESS, "s"), options=json.dumps({"until": "decided", "budget": budget}))
        study = load(store)
        assert said in verdicts.notes(study, verdicts.verdicts(study))[-1]


@pytest.mark.parametrize("claims", ["[", "3", '[1, {"claim": {}}]', '[{"claim": {"text": 1}}]', None])
def test_claims_that_cannot_be_read_and_stores_without_any_are_no_section(store, claims):
    state(store, claims=claims)
    study = load(store)
    assert verdicts.stated(study) == verdicts.verdicts(study) == verdicts.notes(study, []) == []
    assert claims is not None or 'id="verdicts"' not in render(study)


@pytest.mark.parametrize("factor", ["1", None, [1]])
def test_claims_with_values_of_another_kind_are_left_out(store, factor):
    broken = Stated(LESS, "s").to_dict()
    broken["claim"]["factor"] = factor
    state(store, broken, Stated(SHARE, "s"))
    assert [stated.claim for stated in verdicts.stated(load(store))] == [SHARE]


def test_the_verdicts_are_exported_and_live(store, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")  # no browser, which draws for seconds
    state(store, Stated(LESS, "s"))
    export(load(store), tmp_path / "out")
    (row,) = csv.DictReader((tmp_path / "out" / "verdicts.csv").read_text().splitlines())
    assert row["verdict"] == "holds" and float(row["low"]) < float(row["size"]) < float(row["high"]) < 0
    assert row["n"] == "8" and math.isfinite(float(row["relative"]))
    assert b'data-verdict="holds"' in Live(tmp_path / "study").page


@needs_chromium
def test_the_page_begins_with_them_and_a_name_opens_its_configuration(store, browser, tmp_path):
    state(store, Stated(LESS, "s"), Stated(SHARE, "s"))
    report = write_report(store, tmp_path / "report.html")
    page = new_page(browser, viewport={"width": 390, "height": 844})
    trouble = open_page(page, report)
    assert page.locator("main > section").first.get_attribute("id") == "verdicts"
    rows = page.locator("#verdicts tbody tr")
    assert rows.count() == 2 and "holds" in rows.nth(0).inner_text() and "undecided" in rows.nth(1).inner_text()
    # As narrow as a telephone: the table scrolls inside its card, and not the page.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#verdicts button", has_text="EVAE paper").click()
    assert page.locator("#panel h2").inner_text() == "EVAE paper"
    page.close()
    assert not trouble
