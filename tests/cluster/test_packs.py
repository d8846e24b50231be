"""Lanes in a process of Ray's, used from actors of trials, and what happens when some of them die."""

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import ray
from running import processes, wait_until
from tiny import tiny_images, tiny_recipe

from evae.cluster.demand import Demand
from evae.cluster.losses import PackLost
from evae.cluster.machine import ray_session
from evae.cluster.packs import LaneWorker, shared
from evae.cluster.setting import Setting
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.posteriors.evae import Evae
from evae.recipe import Recipe
from evae.results.store import Store
from evae.training import Training

IMAGES = tiny_images()


@pytest.fixture(scope="module")
def setting(tmp_path_factory) -> Iterator[Setting]:
    features = load_features("efficientnet-lite0-b2")
    references = {s: reference(getattr(IMAGES, s), IMAGES.train, features) for s in ("validation", "test")}
    store = Store(tmp_path_factory.mktemp("packs") / "study")
    with ray_session(Demand(lanes=2)):
        whole = {"study": "study", "store": store, "images": IMAGES, "references": references}
        yield shared(Setting(**whole, cpus=1, gpus=0, keep="none", lanes=2))


@ray.remote(num_cpus=0)
class Trial:
    """A process that has a lane, as Tune's actor of a trial."""

    def __init__(self, setting: Setting):
        self.worker = LaneWorker(setting)

    def where(self) -> tuple[int, str, int]:
        """Its own process, its pack and its lane."""
        return os.getpid(), self.worker.pack._actor_id.hex(), self.worker.number

    def train(self, recipe: dict[str, Any], saved: bytes | None = None, epochs: int = 2) -> tuple[list[float], bytes]:
        self.worker.begin(recipe, saved)
        losses = [self.worker.train_epoch()["train_loss_nats"] for _ in range(epochs)]
        return losses, self.worker.dump()

    def lost(self) -> bool:
        """Whether its pack has died."""
        try:
            self.worker.train_epoch()
        except PackLost:
            self.worker.end(), self.worker.close()  # for which it is not needed
            return True
        return False

    def close(self) -> None:
        self.worker.close()


def alone(recipe: Recipe, epochs: int) -> list[float]:
    training = Training(recipe, IMAGES)
    return [training.train_epoch()["train_loss_nats"] for _ in range(epochs)]


def trial(setting: Setting) -> tuple[Any, tuple[int, str, int]]:
    made = Trial.remote(setting)
    return made, ray.get(made.where.remote())


def packs() -> list[int]:
    """The processes of packs."""
    return [number for number, command in processes(os.getsid(0)).items() if re.match(r"ray::Pack\b", command)]


def test_lanes_fill_a_pack_and_then_another_and_are_used_again(setting):
    first, second, third = (trial(setting) for _ in range(3))
    assert first[1][1] == second[1][1] != third[1][1]
    assert {first[1][2], second[1][2]} == {0, 1}
    recipes = tiny_recipe(seed=1), tiny_recipe(Evae(), seed=2)
    asked = [made.train.remote(recipe.to_dict()) for (made, _), recipe in zip((first, second), recipes, strict=True)]
    assert [losses for losses, _ in ray.get(asked)] == [alone(recipe, 2) for recipe in recipes]
    ray.get(first[0].close.remote())
    fourth = trial(setting)
    assert fourth[1][1:] == first[1][1:]
    os.kill(second[1][0], signal.SIGKILL)
    wait_until(lambda: second[1][0] not in processes(os.getsid(0)), "it lives")
    fifth = trial(setting)
    assert fifth[1][1:] == second[1][1:]


def test_a_killed_pack_is_missed_and_replaced_and_its_trials_go_on(setting):
    recipe = tiny_recipe()
    made, (_, before, _) = trial(setting)
    _, saved = ray.get(made.train.remote(recipe.to_dict(), epochs=1))
    for process in packs():
        os.kill(process, signal.SIGKILL)
    assert ray.get(made.lost.remote())
    again, (_, after, _) = trial(setting)
    assert after != before
    assert ray.get(again.train.remote(recipe.to_dict(), saved, epochs=2))[0] == alone(recipe, 3)[1:]


def test_where_it_is_known_which_packs_there_are_may_die(setting):
    packs, _ = setting.packs
    (known,) = [n for n, command in processes(os.getsid(0)).items() if re.match(r"ray::Packs\b", command)]
    os.kill(known, signal.SIGKILL)
    assert ray.get(packs.at.remote("nowhere", None, -1, 2, 1)) == {}
    made, _ = trial(setting)
    assert len(ray.get(made.train.remote(tiny_recipe().to_dict()))[0]) == 2
