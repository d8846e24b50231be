"""Samples from the prior and from densities on codes, beside each other."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browsing import needs_chromium, new_page, open_page
from PIL import Image
from playwright.sync_api import Browser
from synthetic import DISTANCE, write_study

from analysis.report import write_report
from analysis.study import naming, sources, tables
from analysis.study.load import StudyData
from analysis.study.pictures import Pictures, in_order, kinds, strip
from analysis.views import front

OF_MIXTURE = DISTANCE.replace("gen_", "xpd_mixture_")
OTHER = "xpd_mixture_sharpness"


def with_columns(study: StudyData, columns: Mapping[str, object]) -> StudyData:
    return replace(study, trials=study.trials.assign(**columns))


def reversed_order(study: StudyData) -> StudyData:
    """A distance of the mixture's samples that orders configurations the other way round."""
    distance, sharpness = study.trials[DISTANCE], study.trials["gen_sharpness"]
    return with_columns(study, {OF_MIXTURE: 300 - distance, OTHER: sharpness, "xpd_codes_recall": 0.5})


def summary(study: StudyData) -> str:
    return sources.said(study, tables.configurations(study))


@pytest.mark.parametrize(
    ("metric", "split", "source", "label"),
    [
        ("gen_recall", ("gen", "recall"), "gen", "generation recall"),
        ("val_xpd_mixture_fd_x_b4", ("xpd", "fd_x_b4"), "xpd_mixture", "generation (mixture) Fréchet distance"),
        ("xpd_kde_sharpness_gap", ("xpd", "sharpness_gap"), "xpd_kde", "generation (kernel density) sharpness gap"),
        ("xpd_mine_fid", ("xpd", "fid"), "xpd_mine", "generation (mine) FID"),
        ("rec_psnr_db", ("rec", "psnr_db"), "", "reconstruction PSNR"),
        ("xpd_broken", ("", "xpd_broken"), "", "xpd broken"),
    ],
)
def test_a_metric_s_name_says_what_was_sampled(metric, split, source, label) -> None:
    assert naming.split_metric(metric) == split and naming.source(metric) == source
    assert naming.label(metric) == label
    assert naming.is_distance(metric) == (split[1].startswith("fd_") or split[1] == "fid")


def test_a_store_without_densities_has_one_front_and_nothing_to_say(study: StudyData) -> None:
    assert sources.other_sources(study) == {} and sources.others(study) == [] and summary(study) == ""
    (chart,) = front.charts(study, tables.front(tables.configurations(study), study.objectives))
    assert chart.choice == ""


def test_another_source_takes_the_place_of_each_objective_of_samples(study: StudyData) -> None:
    found = sources.other_sources(reversed_order(study))
    assert {k: [(o.metric, o.direction) for o in v] for k, v in found.items()} == {
        "xpd_mixture": [(OF_MIXTURE, "min"), (OTHER, "max")]
    }
    # Where only one of two objectives of samples was measured, there is no front.
    lacking = reversed_order(study)
    assert sources.other_sources(replace(lacking, trials=lacking.trials.drop(columns=OTHER))) == {}


def test_objectives_that_differ_in_their_source_alone_become_one(study: StudyData) -> None:
    prior = study.objectives[0]
    both = [prior, replace(prior, metric=OF_MIXTURE)]
    kernels = DISTANCE.replace("gen_", "xpd_kde_")
    changed = replace(with_columns(reversed_order(study), {kernels: 400 - study.trials[DISTANCE]}), objectives=both)
    found = sources.other_sources(changed)
    assert {k: [o.metric for o in v] for k, v in found.items()} == {"xpd_kde": [kernels]}
    _, other = front.charts(changed, tables.front(tables.configurations(changed), both))
    assert other.choice == "the kernel density on codes"
    assert "of samples from the prior" in summary(changed) and "from the kernel density on codes" in summary(changed)


def test_each_source_has_a_front_of_its_own(study: StudyData) -> None:
    changed = reversed_order(study)
    own, other = front.charts(changed, tables.front(tables.configurations(changed), changed.objectives))
    assert (own.choice, other.choice) == ("the prior", "the mixture on codes")
    assert own.note == "" and "ranked by test values" in other.note
    assert other.figure.layout.yaxis.title.text.startswith("generation (mixture) Fréchet distance")
    drawn = {chart.key: np.concatenate([t.y for t in chart.figure.data if t.y is not None]) for chart in (own, other)}
    assert drawn["front"].max() < 200 < drawn["front-xpd_mixture"].max()


def test_that_the_order_turns_round_is_said_only_beyond_noise(study: StudyData) -> None:
    said = summary(reversed_order(study))
    best = tables.best(tables.configurations(study), study.objectives[0])["name"].iloc[0]
    assert f"of samples from the prior {best} (" in said and "both by more than noise" in said
    assert "from the mixture on codes" in said
    noise = np.random.default_rng(0).normal(0, 1e4, len(study.trials))
    noisy = with_columns(reversed_order(study), {OF_MIXTURE: 1e5 + noise})
    assert "depends on what is sampled" not in summary(noisy)
    alike = with_columns(reversed_order(study), {OF_MIXTURE: study.trials[DISTANCE]})
    assert "depends on what is sampled" not in summary(alike)


def generated(study: StudyData, side: str, count: int) -> pd.Series:
    identity = json.dumps({f"{side}_{DISTANCE.removeprefix('gen_')}": {"n_generated": count, "floor": 1.0}})
    return pd.Series(identity, study.trials.index)


@pytest.mark.parametrize(
    ("side", "ratio", "count", "flagged"),
    [
        ("xpd_kde", 0.2, 500, True),
        ("xpd_kde", 0.49, 50, True),
        ("xpd_kde", 0.2, 49, False),
        ("xpd_kde", 0.51, 500, False),
        ("xpd_codes", 0.0, 500, False),
    ],
)
@pytest.mark.parametrize("kind", sources.RATIOS)
def test_copies_are_flagged(study: StudyData, side, ratio, count, flagged, kind) -> None:
    """Of few samples the ratio is too uncertain; the training codes are copies by what they are."""
    vae = study.trials["label"] == "VAE"
    columns = {f"{side}_{kind}": np.where(vae, ratio, 0.9), "distances": generated(study, side, count)}
    said = summary(with_columns(study, columns))
    assert ("of VAE are copies of training images" in said) == flagged
    assert "more configuration" not in said


def test_why_a_density_was_not_fitted_is_said(study: StudyData) -> None:
    first = study.trials.index == study.trials.index[0]
    reason = "mixture: 10 components are more than the 9 codes"
    said = summary(with_columns(study, {"not_fitted": np.where(first, reason, None)}))
    assert f"Of 1 trial there are no samples from a density: {reason}." in said


def test_pictures_of_both_stand_side_by_side_and_have_names() -> None:
    pieces = [[kind, 0, 0, 1, 1] for kind in ("interpolated", "sampled_xpd_kde", "own", "sampled", "real")]
    found = Pictures(of={"t": in_order(pieces)})
    assert [piece[0] for piece in found.of["t"]] == ["real", "sampled", "sampled_xpd_kde", "interpolated", "own"]
    assert kinds(found)["sampled_xpd_kde"] == "sampled from the kernel density on codes"
    assert "own" not in kinds(found)


def test_a_strip_holds_samples_from_a_density() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4 * 8, 8 * 8), np.uint8)).save(buffer, "PNG")
    rows = [
        {"kind": kind, "columns": 8, "rows": 4, "png": buffer.getvalue()} for kind in ("sampled_xpd_mixture", "own")
    ]
    assert [piece[0] for piece in strip(rows)[1]] == ["sampled_xpd_mixture"]


@needs_chromium
def test_a_switch_chooses_the_front(browser: Browser, tmp_path: Path) -> None:
    """And the table of trials has both distances."""
    store = write_study(tmp_path / "study", configurations=5, seeds=1, with_pictures=0)
    for row in store.rows("trials"):
        store.write("trials", row["trial"], [row | {OF_MIXTURE: 300 - row[DISTANCE], OTHER: row["gen_sharpness"]}])
    page = new_page(browser, viewport={"width": 1200, "height": 900})
    assert open_page(page, write_report(store.location, tmp_path / "report.html")) == []
    shown = page.locator("#front .chart-card[data-choice]:visible")
    assert shown.count() == 1 and shown.get_attribute("data-choice") == "the prior"
    page.get_by_label("the mixture on codes").check()
    assert shown.count() == 1 and shown.get_attribute("data-choice") == "the mixture on codes"
    shown.locator(".main-svg").first.wait_for()
    assert "generation (mixture) Fréchet distance" in page.locator("#table thead").inner_text()
    page.close()
