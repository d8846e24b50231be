"""A worker group of two real Ray Train workers: trial after trial, and what happens when some of them end badly."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from running import processes, wait_until
from tiny import tiny_images, tiny_recipe

from evae.checkpoints import load_model
from evae.cluster import worker_group
from evae.cluster.demand import Demand
from evae.cluster.machine import ray_session
from evae.cluster.setting import Setting
from evae.cluster.worker_group import WorkerGroup, WorkersLost
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.recipe import Recipe
from evae.results.store import Store
from evae.training import Diverged

IMAGES = tiny_images()
RECIPE = tiny_recipe(epochs=4)


@pytest.fixture(scope="module")
def setting(tmp_path_factory) -> Iterator[Setting]:
    features = load_features("efficientnet-lite0-b2")
    references = {s: reference(getattr(IMAGES, s), IMAGES.train, features) for s in ("validation", "test")}
    with ray_session(Demand(trials_at_once=1, workers=2)):
        yield Setting(
            study="study",
            store=Store(tmp_path_factory.mktemp("group") / "study"),
            images=IMAGES,
            references=references,
            cpus=1,
            gpus=0,
            keep="none",
            workers=2,
            max_failures=1,
        )


@pytest.fixture(scope="module")
def group(setting) -> Iterator[WorkerGroup]:
    made = WorkerGroup(setting)
    yield made
    made.close()


def members() -> set[int]:
    """The process ids of the worker group's workers."""
    return {number for number, command in processes(os.getsid(0)).items() if "RayTrainWorker" in command}


def kill_one() -> None:
    os.kill(max(members()), signal.SIGKILL)


def finish(group: WorkerGroup, recipe: Recipe = RECIPE, kill_after: int | None = None) -> dict[str, Any]:
    """What a trial finds, with a worker killed after an epoch."""
    group.begin(recipe.to_dict(), None)
    epochs = []
    for epoch in range(recipe.optimisation.epochs):
        if epoch == kill_after:
            kill_one()
        epochs.append(group.train_epoch())
    found = {"metrics": group.evaluate().metrics, "weights": group.weights()}
    group.end()
    return found | {"epochs": [{k: v for k, v in e.items() if k.endswith("_nats") or k == "epoch"} for e in epochs]}


@pytest.fixture(scope="module")
def undisturbed(group) -> dict[str, Any]:
    return finish(group)


def test_a_worker_group_trains_a_trial_in_two_processes(group, undisturbed, tmp_path):
    assert [e["epoch"] for e in undisturbed["epochs"]] == [1, 2, 3, 4]
    assert undisturbed["metrics"]["val_rec_psnr_db"] > 0
    assert len(members()) == 2 and os.getpid() not in members()
    file = tmp_path / "weights.safetensors"
    file.write_bytes(undisturbed["weights"])
    assert load_model(str(file)).latent == 3


def test_the_same_processes_serve_the_next_trial_and_find_the_same(group, undisturbed):
    before = members()
    assert finish(group) == undisturbed
    assert members() == before


def test_a_diverged_trial_leaves_the_worker_group_to_the_next_one(group, undisturbed):
    before = members()
    group.begin(tiny_recipe(learning_rate=1e30).to_dict(), None)
    with pytest.raises(Diverged, match="became"):
        for _ in range(3):
            group.train_epoch()
    group.end()
    assert finish(group) == undisturbed
    assert members() == before


def test_an_interrupted_trial_is_taken_up_from_its_checkpoint(group, undisturbed):
    group.begin(RECIPE.to_dict(), None)
    group.train_epoch(), group.train_epoch()
    saved = group.dump()
    group.end()
    assert group.begin(RECIPE.to_dict(), saved).epochs == 2
    group.train_epoch(), group.train_epoch()
    assert group.evaluate().metrics == undisturbed["metrics"]
    group.end()


def test_a_killed_worker_is_replaced_and_the_trial_goes_on_with_the_same_numbers(group, undisturbed):
    before = members()
    assert finish(group, kill_after=2) == undisturbed
    assert not members() & before


@pytest.mark.slow
def test_a_trial_that_loses_its_workers_too_often_is_given_up_and_the_next_one_served(group, undisturbed, monkeypatch):
    monkeypatch.setattr(worker_group, "MISSED_AFTER_S", 0.0)
    group.begin(RECIPE.to_dict(), None)
    with pytest.raises(WorkersLost, match="died 2 times"):
        while True:
            kill_one()
            group.train_epoch()
    group.end()
    assert finish(group) == undisturbed


def test_a_closed_worker_group_leaves_no_process(group):
    """The last test: the worker group serves no more."""
    assert len(members()) == 2
    group.close()
    wait_until(lambda: not members(), "a worker is left behind")
