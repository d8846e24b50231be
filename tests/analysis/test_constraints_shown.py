"""Constraints in the report: what breaks one is not ranked and is named, and an exact cost has no noise."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.study import tables, words
from analysis.study.load import load
from analysis.study.naming import Objective
from evae.results.store import Store
from evae.search.constraints import parse

OBJECTIVES = [Objective("rec_psnr_db", "max"), Objective("encoder_macs", "min")]


@pytest.fixture
def study(tmp_path):
    """Three configurations: the better, the more costly; the best is too slow on the validation split."""
    store = Store(str(tmp_path))
    store.prepare()
    for number, (psnr, macs, speed) in enumerate([(20.0, 1e6, 900.0), (25.0, 4e6, 500.0), (30.0, 9e6, 100.0)]):
        row = {"trial": f"t{number}", "configuration": f"c{number}", "label": None, "number": number, "seed": 0}
        row |= {"state": "finished", "role": "search", "method": "gaussian", "origin": "searched", "params": "{}"}
        costs = {"rec_psnr_db": psnr, "encoder_macs": macs, "encode_images_per_s": speed}
        store.write("trials", row["trial"], [row | costs | {f"val_{name}": value for name, value in costs.items()}])
    (constraint,) = parse(["encode_images_per_s >= 400"], "x")
    loaded = load(str(tmp_path))
    return replace(loaded, objectives=OBJECTIVES, manifest={"constraints": [constraint.to_dict()]})


def test_what_breaks_a_constraint_is_shown_and_not_ranked(study):
    table = tables.configurations(study)
    assert list(table["keeps"]) == [True, True, False]
    assert list(tables.front(table, OBJECTIVES)["number"]) == [0, 1]
    said = words.constrained(study, table)
    assert "encode_images_per_s >= 400: 1 of 3 that finished do not, and are not ranked (#2 gaussian)" in said
    free = replace(study, manifest={})
    assert words.constrained(free, tables.configurations(free)) == ""
    assert len(tables.ranked(tables.configurations(free), OBJECTIVES)) == 3


def test_a_damaged_constraint_is_left_out(study):
    damaged = [{"text": "x"}, "y", {"text": "x", "metric": "y", "most": True, "limit": "z"}]
    assert replace(study, manifest={"constraints": damaged}).constraints == []


def test_an_exact_cost_has_no_noise_at_one_seed(study):
    table = tables.configurations(study)
    half = tables.noise_of(table, "encoder_macs").half(0.025)
    assert np.isfinite(half).all() and (half < 1e-3 * table["encoder_macs"]).all()
    assert np.isnan(tables.noise_of(table, "rec_psnr_db").half(0.025)).all()
