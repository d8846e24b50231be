"""Paired arms: differences at the same seeds beside published ones, and what they decide."""

import json

import numpy as np
import pytest

from analysis.study.load import load
from analysis.views.paired import AGREES, CONTRADICTS, OPEN, as_markdown, table
from evae.results.store import Store
from search_spaces.litevae_paper import Ablation

PAIRS = {
    "up": Ablation("better", "base", {"rec_psnr_db": 0.3}, "table 1"),
    "down": Ablation("worse", "base", {"rec_psnr_db": 0.3}, "table 2"),
    "same": Ablation("alike", "base", {"rec_psnr_db": 0.3, "rec_ssim": 0.0}, "table 3"),
    "missing": Ablation("none such", "base", {"rec_psnr_db": 0.3}, "table 4"),
}


@pytest.fixture
def study(tmp_path):
    """Four arms of six seeds, of which each moves all arms by far more than the arms differ."""
    random, store = np.random.default_rng(0), Store(str(tmp_path))
    store.prepare()
    of_seed = random.normal(0, 3, 6)
    for number, (arm, by) in enumerate({"base": 0.0, "better": 1.0, "worse": -1.0, "alike": 0.0}.items()):
        for seed in range(6):
            value = 20 + of_seed[seed] + by + random.normal(0, 0.1)
            row = {"trial": f"{number}-{seed}", "configuration": f"c{number}", "label": arm, "number": number}
            row |= {"seed": seed, "state": "finished", "role": "search", "method": "gaussian", "origin": "grid"}
            store.write("trials", row["trial"], [row | {"rec_psnr_db": value, "params": json.dumps({"arm": arm})}])
    return load(str(tmp_path))


def test_what_a_seed_does_to_both_arms_cancels(study):
    found = table(study, PAIRS).set_index("ablation")
    assert list(found["verdict"]) == [AGREES, CONTRADICTS, OPEN]
    assert found.loc["up", "difference"] == pytest.approx(1, abs=0.2)
    assert found.loc["up", "low"] > 0.5 and found.loc["down", "high"] < -0.5
    assert found.loc["same", "low"] < 0 < found.loc["same", "high"]
    assert "missing" not in found.index and set(found["seeds"]) == {6}


def test_an_interval_and_its_chance_agree(study):
    """An interval of 95 % ends at 0 where the chance, before it is adjusted for others, is 5 %."""
    for name in ("up", "same"):
        (row,) = table(study, {name: Ablation(PAIRS[name].arm, "base", {"rec_psnr_db": 0.3}, "")}).itertuples()
        assert (row.low > 0 or row.high < 0) == (row.chance < 0.05)


def test_the_table_says_how_many_signs_are_decided(study):
    said = as_markdown(study, PAIRS)
    assert "Of 3 signs 1 agrees, 1 contradicts, 1 not decided here" in said
    assert "+0.30, table 1" in said
    assert as_markdown(study, {"missing": PAIRS["missing"]}) == "no pair of arms has finished seeds yet\n"
