"""Lanes without Ray: trials that threads of this process train beside each other, each to the numbers it has alone."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tiny import adversarial_recipe, flipping, tiny_images, tiny_recipe

from evae.cluster.losses import WorkerFailed
from evae.cluster.pack import LOST, Lane, Pack, light
from evae.cluster.setting import Setting
from evae.cluster.worker import Begun
from evae.errors import Diverged, UserError
from evae.likelihoods import ScaledLaplace
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.networks.mlp import Mlp
from evae.posteriors.evae import Evae
from evae.posteriors.kernel import KernelKL
from evae.posteriors.mixture import Mixture
from evae.posteriors.poisson import Poisson
from evae.recipe import Recipe
from evae.results.store import Store

IMAGES = tiny_images()
RECIPES: tuple[Recipe, ...] = (
    tiny_recipe(),
    tiny_recipe(Poisson(beta=0.5, log_rate=0.0), seed=1),
    adversarial_recipe(Mixture(), seed=2),
    flipping(tiny_recipe(seed=3, clip_norm=1.0, schedule="cosine")),
    replace(tiny_recipe(Evae(), ema=0.9), network=Mlp(width=0.1), latent=5),
    replace(tiny_recipe(KernelKL(), batch_size=7), likelihood=ScaledLaplace()),
)
# Beside each other, threads put back each other's filters of warnings.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def setting(tmp_path_factory) -> Setting:
    features = load_features("efficientnet-lite0-b2")
    references = {s: reference(getattr(IMAGES, s), IMAGES.train, features, cache=None) for s in ("validation", "test")}
    store = Store(tmp_path_factory.mktemp("pack") / "study")
    shared = {"study": "study", "store": store, "images": IMAGES, "references": references}
    return Setting(**shared, cpus=1, gpus=0, keep="weights", lanes=4)


def finish(lane: Lane, recipe: Recipe) -> dict[str, Any]:
    """All that a trial of this recipe leaves, but for times."""
    begun = lane.do("begin", (recipe.to_dict(), None))
    assert begun.epochs == 0 and begun.device == ("cuda" if lane.setting.gpus else "cpu")
    epochs = [lane.do("train_epoch", ()) for _ in range(recipe.optimisation.epochs)]
    evaluated = lane.do("evaluate", ())
    found = {"metrics": evaluated.metrics, "pictures": evaluated.pictures, "weights": lane.do("weights", ())}
    lane.do("end", ())
    timeless = [{k: v for k, v in epoch.items() if not k.endswith(("_s", "_at"))} for epoch in epochs]
    return found | {"epochs": timeless}


def test_trials_of_any_recipes_have_the_numbers_beside_each_other_that_they_have_alone(setting):
    alone = Lane(setting)
    expected = [finish(alone, recipe) for recipe in RECIPES]
    lanes = [Lane(setting) for _ in range(4)]
    with ThreadPoolExecutor(4) as callers:
        # Each lane is given one trial after the other, as it gets free.
        free = list(lanes)

        def next_one(recipe: Recipe) -> dict[str, Any]:
            lane = free.pop()
            try:
                return finish(lane, recipe)
            finally:
                free.append(lane)

        found = list(callers.map(next_one, RECIPES))
    for recipe, there, here in zip(RECIPES, expected, found, strict=True):
        assert there["epochs"] == here["epochs"] and len(there["epochs"]) == 3, recipe
        assert there["metrics"].keys() == here["metrics"].keys() and len(there["metrics"]) > 20
        assert there == here or changed(there["metrics"], here["metrics"]) == [], recipe
        assert there["weights"] == here["weights"] and there["pictures"] == here["pictures"]


def changed(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """The metrics that are not the same; what is no number is no other."""
    return [name for name, value in there.items() if value != here[name] and value == value]


def beside(setting: Setting, recipe: Recipe) -> list[Any]:
    """What the epochs of this recipe answer, while another lane trains."""
    first, second = Lane(setting), Lane(setting)
    with ThreadPoolExecutor(1) as callers:
        other = callers.submit(finish, first, tiny_recipe())
        begun = second.do("begin", (recipe.to_dict(), None))
        answers = [begun] if isinstance(begun, Exception) else [second.do("train_epoch", ()) for _ in range(3)]
        second.do("end", ())
        assert other.result() == finish(second, tiny_recipe())  # the neighbour, and who comes afterwards
    return answers


def test_a_trial_that_diverges_at_once_ends_alone(setting):
    answers = beside(setting, tiny_recipe(learning_rate=1e30))
    assert any(isinstance(answer, Diverged) for answer in answers)


def test_a_trial_without_memory_ends_alone(setting):
    (failed,) = beside(setting, replace(tiny_recipe(), latent=10**12))
    assert isinstance(failed, WorkerFailed) and "allocate memory" in str(failed) and "Traceback" in failed.trace


def test_a_recipe_that_cannot_be_ends_alone_with_words(setting):
    lane = Lane(setting)
    answer = lane.do("begin", (tiny_recipe().to_dict() | {"latnet": 3}, None))
    assert isinstance(answer, UserError) and "Did you mean 'latent'" in str(answer)
    assert lane.do("begin", (tiny_recipe().to_dict(), None)).epochs == 0


def test_a_trial_goes_on_in_another_lane_where_its_checkpoint_was_left(setting):
    recipe = tiny_recipe(Evae())
    whole, first = finish(Lane(setting), recipe), Lane(setting)
    first.do("begin", (recipe.to_dict(), None))
    first.do("train_epoch", ())
    second, saved = Lane(setting), first.do("dump", ())
    assert second.do("begin", (recipe.to_dict(), saved)).epochs == 1
    second.do("train_epoch", ()), second.do("train_epoch", ())
    assert second.do("evaluate", ()).metrics == whole["metrics"] and second.do("weights", ()) == whole["weights"]


def opened(setting: Setting) -> Pack:
    """One of this process, on its CPU."""
    pack = Pack(1, None)
    pack.open(setting)
    return pack


def test_lanes_are_taken_given_back_and_taken_from_the_dead(setting):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    pack = opened(setting)
    assert [pack.take(holder, []) for holder in [os.getpid()] * 3 + [dead.pid]] == [0, 1, 2, 3]
    assert pack.take(os.getpid(), []) == 3 and pack.take(os.getpid(), []) is None
    pack.give_back(1)
    assert pack.take(os.getpid(), []) == 1


def test_who_measures_makes_no_difference(setting):
    with ThreadPoolExecutor(1) as measuring:
        there, here = finish(Lane(setting, measuring), RECIPES[0]), finish(Lane(setting), RECIPES[0])
        idle = Lane(setting, measuring)
        assert isinstance(idle.do("evaluate", ()), WorkerFailed)  # of nothing that was begun
    assert changed(there["metrics"], here["metrics"]) == [] and there["pictures"] == here["pictures"]


SPOILT = """
class Stream:
    def synchronize(self):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

def spoil():
    torch.cuda.is_initialized, torch.cuda.current_stream = (lambda: True), Stream
    Stream().synchronize()
"""
SPOILT_FOR_REAL = "spoil = lambda: torch.zeros(1, device='cuda')[torch.tensor([2**30], device='cuda')].cpu()"


@pytest.mark.parametrize("how", [SPOILT, pytest.param(SPOILT_FOR_REAL, marks=pytest.mark.gpu)])
def test_a_process_whose_gpu_is_lost_ends(how):
    """So that its trials, and those of its other lanes, go on in another: each would fail here."""
    lane = "import torch, types\nfrom evae.cluster.pack import Lane\nlane = Lane(None)\n"
    asked = "lane.worker = types.SimpleNamespace(train_epoch=spoil)\nlane.do('train_epoch', ())\n"
    ended = subprocess.run([sys.executable, "-c", f"{lane}{how}\n{asked}"], capture_output=True, text=True)
    assert ended.returncode == LOST and "CUDA error" in ended.stderr


def test_what_the_dead_left_in_a_lane_is_forgotten(setting):
    pack = opened(setting)
    number = pack.take(os.getpid(), [])
    pack.do(number, "begin", tiny_recipe().to_dict(), None)
    pack.give_back(number)
    assert pack.take(os.getpid(), []) == number
    pack.lanes[number].thread.submit(lambda: None).result()
    assert pack.lanes[number].worker.training is None


def test_answers_need_no_class_of_ours():
    assert light(Begun(1, "cpu", "fp32", "x", 2)) == SimpleNamespace(
        epochs=1, device="cpu", precision="fp32", processor="x", parameters=2
    )
    assert light({"a": 1}) == {"a": 1}


def test_who_speaks_for_trials_imports_no_torch():
    code = "import sys, evae.cluster.trainable, evae.cluster.packs; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
