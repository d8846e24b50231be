"""Lanes on a GPU: the numbers that a trial has alone, bit for bit, and what befalls one of them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from test_pack import IMAGES, RECIPES, changed, finish, setting  # noqa: F401

from evae.cluster.losses import WorkerFailed
from evae.cluster.pack import Lane, Pack
from evae.cluster.setting import Setting
from evae.data.pixels import on_device

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]


@pytest.fixture
def on_gpu(setting) -> Setting:  # noqa: F811
    return replace(setting, gpus=1)


def test_trials_of_any_recipes_have_the_numbers_beside_each_other_that_they_have_alone(on_gpu):
    alone = Lane(on_gpu)
    expected = [finish(alone, recipe) for recipe in RECIPES]
    lanes = [Lane(on_gpu) for _ in RECIPES]
    with ThreadPoolExecutor(len(lanes)) as callers:
        found = list(callers.map(finish, lanes, RECIPES))
    for recipe, there, here in zip(RECIPES, expected, found, strict=True):
        assert there["epochs"] == here["epochs"] and there["weights"] == here["weights"], recipe
        assert changed(there["metrics"], here["metrics"]) == [], recipe


def test_a_pack_gives_the_numbers_of_a_lane(on_gpu):
    pack, expected = Pack(replace(on_gpu, lanes=2), "0"), finish(Lane(on_gpu), RECIPES[0])
    with ThreadPoolExecutor(2) as callers:
        found = list(callers.map(finish, pack.lanes, RECIPES[:2]))
    assert found[0]["epochs"] == expected["epochs"] and changed(found[0]["metrics"], expected["metrics"]) == []


def test_a_trial_that_asks_for_more_than_the_memory_ends_alone(on_gpu):
    recipe, greedy = RECIPES[0], Lane(on_gpu)
    expected = finish(Lane(on_gpu), recipe)
    with ThreadPoolExecutor(1) as callers:
        other = callers.submit(finish, Lane(on_gpu), recipe)
        assert not isinstance(greedy.do("begin", (recipe.to_dict(), None)), Exception)
        greedy.worker.train_epoch = lambda: torch.empty(2**50, device="cuda")
        failed = greedy.do("train_epoch", ())
        assert isinstance(failed, WorkerFailed) and str(failed).startswith("OutOfMemoryError")
        assert other.result()["weights"] == expected["weights"]


def test_lanes_share_the_images_on_the_device():
    device = torch.device("cuda")
    first, second = on_device(IMAGES.train, device), on_device(IMAGES.train, device)
    assert first is second and torch.equal(first.cpu(), torch.from_numpy(IMAGES.train.copy()))


def test_a_lane_has_one_stream_for_all_of_its_trials(on_gpu):
    """torch has 32 of them: those of one training after the other would be shared with other lanes in the end."""
    lane = Lane(on_gpu)
    for recipe in RECIPES[:2]:
        lane.do("begin", (recipe.to_dict(), None))
        own = lane.thread.submit(torch.cuda.current_stream).result()
        assert lane.worker.training.loop.program.recorder.stream == own != torch.cuda.default_stream()
