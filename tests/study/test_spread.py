"""The spread between seeds, by which a training elsewhere is judged: wrong as often as it says, no room for lies."""

import json
from typing import Any

import numpy as np
import pytest

from evae.study.spread import limits


def rows(values: np.ndarray, digest: str = "here") -> list[dict[str, Any]]:
    """One of each value (configurations, seeds); NaN where a seed was not trained."""
    known = {"data_digest": digest, "precision": "fp32", "numerics": 1}
    return [
        known | {"identity": f"{number}-{seed}", "seed": seed, "recipe": json.dumps({"latent": number}), "a": value}
        for number, of in enumerate(values)
        for seed, value in enumerate(of)
        if np.isfinite(value)
    ]


@pytest.mark.parametrize("seeds", [1, 3])
def test_an_honest_trial_is_called_wrong_as_often_as_is_said_and_a_false_one_is_found(seeds):
    rng, wrong, missed, tries = np.random.default_rng(0), 0, 0, 600
    for _ in range(tries):
        values = rng.normal(rng.uniform(50, 60, (6, 1)), 1, (6, 3))
        values[0, seeds:] = np.nan
        known = rows(values)
        again = {"a": rng.normal(55, 1)}
        honest = known[0] | {"a": rng.normal(55, 1)}
        limit = limits(known, honest, again, ["a"], 0.025)["a"]
        wrong += abs(again["a"] - honest["a"]) > limit
        false = honest | {"a": honest["a"] + 12}
        missed += abs(again["a"] - false["a"]) <= limits(known, false, again, ["a"], 0.025)["a"]
    assert wrong / tries < 0.08 and missed / tries < 0.02


def test_a_false_value_makes_no_room_for_itself():
    known = rows(np.array([[1.0, 1.1, 0.9], [2.0, 2.1, 1.9]]))
    false = [known[0] | {"a": 1e6}, *known[1:]]
    assert limits(false, false[0], {"a": 1.0}, ["a"], 0.01) == limits(known, known[0], {"a": 1.0}, ["a"], 0.01)


def test_where_no_configuration_has_two_seeds_nothing_is_said():
    one = rows(np.array([[1.0], [2.0]]))
    assert limits(one, one[0], {"a": 1.0}, ["a"], 0.01) == {}
    two = rows(np.array([[1.0, 1.1]]))
    assert limits(two, two[0], {"a": 1.0}, ["a"], 0.01) == {}  # one of them is that which is in question
    others = rows(np.array([[3.0, 3.1, 3.2]]), "elsewhere")
    assert limits([*one, *others], one[0], {"a": 1.0}, ["a", "b"], 0.01) == {}
