"""Steps captured in CUDA graphs: the numbers of those that come one by one, to the last bit."""

import gc
import threading

import pytest
import torch
from stepped import IMAGES, RECIPES, STILL, differing, epochs
from tiny import tiny_recipe

from evae.checkpoints import dump_training, restore_training
from evae.errors import Diverged
from evae.recipe import Recipe
from evae.training import Training

pytestmark = pytest.mark.gpu


def on_gpu(recipe: Recipe, why_not: str | None = None) -> Training:
    """With a reason, its steps are not captured."""
    training = Training(recipe, IMAGES, "cuda")
    if why_not is not None:
        training.loop.program.why_not = why_not
    return training


@pytest.mark.parametrize("name", STILL)
def test_captured_steps_are_those_that_come_one_by_one(name):
    captured, as_it_comes = on_gpu(RECIPES[name]), on_gpu(RECIPES[name], "a test")
    assert epochs(captured) == epochs(as_it_comes)
    assert not differing(captured, as_it_comes)
    assert (captured.stepped, as_it_comes.stepped) == ("captured", "as it comes: a test")


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_that_is_taken_up_again_ends_as_if_it_had_not_been_interrupted(name):
    whole, first, second = (Training(RECIPES[name], IMAGES, "cuda") for _ in range(3))
    rows = epochs(whole)
    first.train_epoch()
    restore_training(second, dump_training(first))
    assert epochs(second) == rows[1:]
    assert not differing(whole, second)


@pytest.mark.parametrize("why_not", [None, "a test"])
def test_no_step_waits_for_the_device(monkeypatch, why_not):
    training = on_gpu(RECIPES["gaussian"], why_not)
    for _ in range(2):
        training.train_epoch()
    run, taken = training.loop.program.run, []

    def watched(*given):
        torch.cuda.set_sync_debug_mode("error")
        try:
            taken.append(run(*given))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return taken[-1]

    monkeypatch.setattr(training.loop.program, "run", watched)
    training.train_epoch()
    assert len(taken) == training.steps


@pytest.mark.parametrize("optimiser", ["adam", "adamax"])
def test_after_a_step_that_overflows_nothing_moves(optimiser):
    recipe = tiny_recipe(learning_rate=2.0**20, batch_size=3, optimiser=optimiser, ema=0.5)
    captured, as_it_comes = on_gpu(recipe), on_gpu(recipe, "a test")
    told = []
    for training in (captured, as_it_comes):
        with pytest.raises(Diverged) as caught:
            epochs(training)
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert not [
        name for name in differing(captured, as_it_comes) if "running" not in name and "num_batches" not in name
    ]


def test_what_was_captured_can_be_given_back_and_is_captured_anew():
    training, expected = on_gpu(RECIPES["gaussian"]), on_gpu(RECIPES["gaussian"])
    rows = [training.train_epoch() for _ in range(2)]
    training.release()
    assert len(rows) + len(epochs(training)) == len(epochs(expected)) and not differing(training, expected)
    assert training.stepped == "captured"


def test_trainings_in_threads_of_one_process_are_what_they_are_alone():
    names = ["gaussian", "mixture", "adversarial", "averaged"]
    alone, beside, rows = {}, {name: on_gpu(RECIPES[name]) for name in names}, {}
    for name in names:
        epochs(alone.setdefault(name, on_gpu(RECIPES[name])))
    threads = [threading.Thread(target=lambda n=name: rows.update({n: epochs(beside[n])})) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows.keys() == set(names)
    assert not [name for name in names if differing(alone[name], beside[name])]
    assert {training.stepped for training in beside.values()} == {"captured"}


def test_a_driver_without_graphs_trains_all_the_same(monkeypatch):
    class Without:
        def __init__(self) -> None:
            raise RuntimeError("CUDA graphs are not supported")

    expected = on_gpu(RECIPES["gaussian"])
    rows = epochs(expected)
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "CUDAGraph", Without)
        training = on_gpu(RECIPES["gaussian"])
        assert epochs(training) == rows and not differing(training, expected)
    assert training.stepped == "as it comes: it cannot be captured (CUDA graphs are not supported)"


def test_nothing_is_collected_while_a_step_is_recorded(monkeypatch):
    """It might be another training's graph, and to give one back spoils the recording."""
    training, collects = on_gpu(RECIPES["gaussian"]), []
    take = training.loop.step.take

    def watched(*given, **how):
        collects.append(gc.isenabled())
        return take(*given, **how)

    monkeypatch.setattr(training.loop.step, "take", watched)
    epochs(training)
    assert training.stepped == "captured"
    assert collects.count(False) == len(training.loop.program.kinds) and gc.isenabled()


def test_what_fails_while_it_is_captured_is_run_as_it_comes(monkeypatch):
    """A posterior that looks at a number on the host, as a plug-in may."""
    training = on_gpu(RECIPES["gaussian"])
    sample = training.trained.posterior.sample

    def looking(heads, generator):
        float(heads.sum())
        return sample(heads, generator)

    object.__setattr__(training.trained.posterior, "sample", looking)
    rows = epochs(training)
    assert training.stepped.startswith("as it comes: it cannot be captured (")
    expected = on_gpu(RECIPES["gaussian"])
    assert rows == epochs(expected) and not differing(training, expected)
    # And what comes after is captured as if nothing had been.
    after = on_gpu(RECIPES["mixture"])
    epochs(after)
    assert after.stepped == "captured"
