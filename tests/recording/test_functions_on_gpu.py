"""Functions captured in CUDA graphs: the numbers of those that come one by one, to the last bit."""

import gc
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from stepped import IMAGES, RECIPES, differing, epochs
from tiny import tiny_recipe

from evae.densities import MixtureDensity
from evae.evaluation import Evaluated, evaluate
from evae.metrics.base import of as registered
from evae.metrics.features import load_features
from evae.metrics.reference import references
from evae.recording import functions
from evae.recording.functions import PRIORITY, replayed
from evae.recording.program import CAPTURED
from evae.testing.densities import generator
from evae.training import Training

pytestmark = pytest.mark.gpu
TURNS = 4


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    monkeypatch.setattr(functions, "_HERE", functions._Recordings())


@pytest.fixture
def as_it_comes(monkeypatch) -> Callable[[Callable[[], Any]], Any]:
    """What a call gives where nothing is captured."""

    def call(work: Callable[[], Any]) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(functions, "recorder", lambda *given: None)
            patch.setattr(functions, "_HERE", functions._Recordings())
            return work()

    return call


def stepped() -> set[str]:
    """How this thread's functions are run."""
    return {program.stepped for program in functions._HERE.programs.values()}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_features_and_metrics(as_it_comes, channels):
    features = load_features("efficientnet-lite0-b10", "cuda")
    images = torch.rand(TURNS + 1, 250, channels, 32, 32, generator=generator()).cuda()
    pairs, alone = registered("pairs"), registered("images")

    @torch.no_grad()
    def work() -> list[dict[str, torch.Tensor]]:
        found = []
        for first, second in zip(images[1:], images[:-1], strict=True):
            measured = {one.name: replayed(one.measure, one.measure, first, second) for one in pairs}
            measured |= {one.name: replayed(one.measure, one.measure, first) for one in alone}
            found.append(measured | {"features": features(first), "fewer": features(first[:100])})
        return found

    expected, found = as_it_comes(work), work()
    assert stepped() == {CAPTURED} and len(functions._HERE.inputs) == len(found[0])
    for mine, other in zip(found, expected, strict=True):
        assert not [name for name in other if not torch.equal(mine[name], other[name])]


@pytest.mark.parametrize("shape", [None, (4, 4, 4)], ids=["vectors", "maps"])
@pytest.mark.parametrize("components", [2, 10])
def test_a_mixture(as_it_comes, shape, components):
    """As triangular systems and Cholesky factors are found by different libraries for few large matrices and others."""
    density, codes = MixtureDensity(components=components), torch.randn(4000, 64, generator=generator())
    codes[:2000] += 1.5

    def work() -> list[dict[str, torch.Tensor]]:
        return [density.fit(codes.roll(turn, 1), generator(), shape, "cuda").state() for turn in range(TURNS)]

    expected, found = as_it_comes(work), work()
    assert stepped() == {CAPTURED}
    for mine, other in zip(found, expected, strict=True):
        assert not [name for name in other if not torch.equal(mine[name], other[name])]


def on_gpu(count: int = 1) -> list[Callable[[], Evaluated]]:
    """What measures each of so many trainings, all of one recipe, on the same features."""
    recipe = tiny_recipe()
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, features="efficientnet-lite0-b2"))
    features = load_features("efficientnet-lite0-b2", "cuda")
    real = references({"test": IMAGES.test, "validation": IMAGES.validation}, IMAGES.train, features)
    trainings = [Training(recipe, IMAGES, "cuda") for _ in range(count)]
    for training in trainings:
        training.train_epoch()
    return [partial(evaluate, training, features, real) for training in trainings]


@pytest.mark.parametrize("own", [False, True], ids=["default", "own"])
def test_an_evaluation_before_and_after_trainings_whose_captured_steps_are_given_back(as_it_comes, own):
    """In a thread with a stream of its own, as a lane's, and in one without."""
    (measure,) = on_gpu()
    expected = as_it_comes(measure)
    with torch.cuda.stream(torch.cuda.Stream() if own else None):
        for _ in range(TURNS):
            found = measure()
            assert repr(found.metrics) == repr(expected.metrics) and found.pictures == expected.pictures
            between = Training(RECIPES["gaussian"], IMAGES, "cuda")
            epochs(between)
            between.release()
    assert stepped() == {CAPTURED}


def test_evaluations_in_threads_beside_a_training_that_is_captured(as_it_comes):
    first, *rest = on_gpu(5)
    expected, alone, found, ways = as_it_comes(first), Training(RECIPES["mixture"], IMAGES, "cuda"), [], []
    epochs(alone)

    def measuring(measure: Callable[[], Evaluated]) -> None:
        torch.cuda.set_stream(torch.cuda.Stream(priority=PRIORITY))
        found.extend(repr(measure().metrics) for _ in range(TURNS))
        ways.append(stepped())

    torch.cuda.synchronize()
    threads = [threading.Thread(target=measuring, args=(measure,)) for measure in rest]
    for thread in threads:
        thread.start()
    beside = Training(RECIPES["mixture"], IMAGES, "cuda")
    epochs(beside)
    for thread in threads:
        thread.join()
    assert set(found) == {repr(expected.metrics)} and len(found) == 4 * TURNS
    assert ways == [{CAPTURED}] * 4 and beside.stepped == CAPTURED and not differing(alone, beside)


class Owner:
    pass


def line(x: torch.Tensor) -> torch.Tensor:
    return 2 * x + 1


def test_memory_is_given_back_with_a_thread_and_with_an_owner():
    given = torch.rand(1 << 20, device="cuda")

    def held() -> int:
        gc.collect()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved()

    def work() -> None:
        owner = Owner()
        for _ in range(TURNS):
            replayed(owner, line, given)
        most.append(held())

    before, most = held(), []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert held() == before < most[0]
    work()
    assert held() > before
    other = Owner()
    replayed(other, line, given)
    assert held() == before


def test_what_cannot_be_captured_comes_one_by_one_and_spoils_nothing():
    def looking(x: torch.Tensor) -> torch.Tensor:
        return x * float(x.sum())

    owner, other = Owner(), Owner()
    for seed in range(2 * TURNS):
        given = torch.randn(1000, generator=generator(seed)).cuda()
        assert torch.equal(replayed(owner, looking, given), looking(given))
        assert torch.equal(replayed(other, line, given), line(given))
    assert {way.partition(" (")[0] for way in stepped()} == {CAPTURED, "as it comes: it cannot be captured"}
    assert len(functions._HERE.inputs) == 1, "what was captured before that is captured anew"
