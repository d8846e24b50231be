"""Steps of two processes that are recorded and replayed, over gloo on a CPU: with stand-ins for a recorder."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
import torch
from recorders import Again
from stepped import IMAGES, RECIPES, Halving, epochs, scheduled, state
from tiny import tiny_recipe
from two_ranks import of_both

from evae.ranks import Ranks
from evae.recipe import Recipe
from evae.stepping import epoch as loop
from evae.training import Training

UNEVEN = {"uneven shares": 7, "last batch of one image": 23}
"""Batches of 24 images, with a network in which nothing depends on the others of a batch."""
OF_RANKS = {name: RECIPES[name] for name in ("mixture", "adversarial", "half", "adamax")} | {
    name: scheduled(replace(tiny_recipe(batch_size=size), network=Halving())) for name, size in UNEVEN.items()
}


class FailingOnOne(Again):
    """Records the first kind. The next one it cannot record on the second rank; on the first it can, and as on CUDA
    nothing has been done then."""

    def __init__(self, rank: int):
        super().__init__()
        self.rank = rank

    def record(self, step: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        if not self.recorded:
            return super().record(step)
        if self.rank == 1:
            raise RuntimeError("no room for it\nat all")
        return mock.Mock(side_effect=AssertionError("replayed alone")), None


def train(recipe: Recipe, ranks: Ranks, recorder: Again, *, over_gloo: bool) -> dict[str, Any]:
    """A training as on CUDA; steps `over_gloo` are not recorded."""
    with mock.patch.object(loop, "recorder", lambda device, generators: recorder):
        training = Training(recipe, IMAGES, ranks=ranks)
    program, kinds = training.loop.program, []
    if not over_gloo:
        program.why_not = None
    run = program.run

    def noting(kind: Hashable, step: Callable[[], Any]) -> Any:
        kinds.append(kind)
        return run(kind, step)

    program.run = noting
    rows = epochs(training)
    counts = recorder.recorded, recorder.replayed
    return {"rows": rows, "state": state(training), "stepped": program.stepped, "kinds": kinds, "counts": counts}


def find(ranks: Ranks, folder: str) -> dict[str, Any]:
    found = {
        name: {
            "replayed": train(recipe, ranks, Again(), over_gloo=False),
            "as it comes": train(recipe, ranks, Again(), over_gloo=True),
        }
        for name, recipe in OF_RANKS.items()
    }
    found["failing"] = train(OF_RANKS["uneven shares"], ranks, FailingOnOne(ranks.rank), over_gloo=False)
    return found


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two ranks found."""
    return of_both(find, tmp_path_factory.mktemp("ranks"))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """To the last bit."""
    assert one["state"].keys() == other["state"].keys()
    return one["rows"] == other["rows"] and all(torch.equal(v, other["state"][n]) for n, v in one["state"].items())


@pytest.mark.parametrize("name", OF_RANKS)
def test_replayed_steps_of_two_ranks_are_those_that_come_one_by_one(name, two):
    for found in two:
        assert same(found[name]["replayed"], found[name]["as it comes"])
        assert found[name]["replayed"]["stepped"] == "captured"
        assert found[name]["as it comes"]["stepped"] == "as it comes: several processes train it over gloo"
        assert found[name]["as it comes"]["counts"] == (0, 0)
        recorded, replayed = found[name]["replayed"]["counts"]
        assert recorded >= 2 and replayed > recorded


@pytest.mark.parametrize("name", OF_RANKS)
def test_both_ranks_run_the_same_kinds_and_find_the_same(name, two):
    first, second = (found[name]["replayed"] for found in two)
    assert first["kinds"] == second["kinds"] and first["counts"] == second["counts"]
    assert first["rows"] == second["rows"]


@pytest.mark.parametrize("name", UNEVEN)
def test_two_ranks_find_what_one_process_does(name, two):
    for alone, both in zip(epochs(Training(OF_RANKS[name], IMAGES)), two[0][name]["replayed"]["rows"], strict=True):
        assert both == pytest.approx(alone, rel=1e-5, abs=1e-5)


def test_where_one_rank_cannot_record_a_step_both_go_on_as_they_come(two):
    for found in two:
        failing, expected = found["failing"], found["uneven shares"]["as it comes"]
        assert failing["stepped"] == "as it comes: it cannot be captured (no room for it)"
        assert failing["counts"][0] == 1 and failing["counts"][1] > 1
        assert same(failing, expected)
