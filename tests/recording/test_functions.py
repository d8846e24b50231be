"""Functions that are recorded and replayed, on a CPU: with a stand-in that does in the same places what it did."""

import gc
import threading
from collections.abc import Callable
from dataclasses import replace
from threading import Barrier
from typing import Any
from weakref import ref

import pytest
import torch
from recorders import Again, Graph, OnDevice, Refusing
from stepped import IMAGES
from tiny import tiny_recipe
from torch import nn

from evae.densities import expectation
from evae.densities.expectation import maximised
from evae.errors import NotFitted
from evae.evaluation import evaluate
from evae.metrics.base import of as registered
from evae.metrics.features import BATCHES, Features, load_features
from evae.metrics.reference import references
from evae.recording import functions
from evae.recording.functions import MOST, replayed
from evae.recording.program import SWITCH
from evae.testing.densities import generator
from evae.training import Training


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Again]], list[Again]]:
    """How to have functions recorded as on CUDA, by recorders of a kind: those that threads have taken."""

    def record(kind: Callable[[], Again]) -> list[Again]:
        taken: list[Again] = []

        def recorder(*given: Any) -> Again:
            taken.append(kind())
            return taken[-1]

        monkeypatch.setattr(functions, "recorder", recorder)
        monkeypatch.setattr(functions, "_HERE", functions._Recordings())
        monkeypatch.setattr(expectation, "TOGETHER", {})
        return taken

    return record


class Owner:
    pass


def line(x: torch.Tensor, *, slope: float = 2.0) -> torch.Tensor:
    return slope * x + 1


def numbers(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, generator=generator(seed))


def test_what_is_replayed_is_what_comes_one_by_one_and_can_be_kept(recorders):
    (taken, owner), given = (recorders(Graph), Owner()), [numbers(5, seed) for seed in range(6)]
    found = [replayed(owner, line, each) for each in given]
    assert all(torch.equal(mine, line(each)) for mine, each in zip(found, given, strict=True))
    assert (taken[0].recorded, taken[0].replayed) == (1, 5)


def test_what_differs_in_shape_type_strides_or_settings_is_recorded_for_itself(recorders):
    taken, owner, wide = recorders(Graph), Owner(), numbers(12).view(3, 4)
    calls = [(wide, 2.0), (wide.T, 2.0), (wide.view(4, 3), 2.0), (wide.double(), 2.0), (wide, 3.0)]
    for _ in range(3):
        for given, slope in calls:
            found = replayed(owner, line, given, slope=slope)
            assert torch.equal(found, line(given, slope=slope)) and found.dtype == given.dtype
    assert (taken[0].recorded, taken[0].replayed) == (len(calls), 2 * len(calls))


def test_tuples_are_handed_out_whole(recorders):
    recorders(Graph)

    def both(x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        return x + 1, (x + 2, x + 3)

    owner = Owner()
    found = [replayed(owner, both, numbers(4, seed)) for seed in range(3)]
    for seed, (one, (two, three)) in enumerate(found):
        given = numbers(4, seed)
        assert all(torch.equal(mine, given + k) for k, mine in enumerate((one, two, three), 1))


def test_on_a_cpu_a_function_is_called_as_it_is():
    given = numbers(3)
    assert [replayed(Owner(), lambda x: x, given) is given for _ in range(3)] == [True] * 3


def test_what_cannot_be_recorded_goes_on_as_it_comes_and_holds_nothing(recorders):
    class Counting(Refusing):
        def record(self, step):
            self.recorded += 1
            return super().record(step)

    taken, owner, refused = recorders(Counting), Owner(), Owner()
    for seed in range(5):
        given = numbers(5, seed)
        assert torch.equal(replayed(owner, line, given), line(given))
    assert taken[0].recorded == 1 and not functions._HERE.inputs
    functions._HERE.give_back()
    for _ in range(3):
        replayed(owner, line, numbers(5))
        replayed(refused, line, numbers(5))
    assert taken[0].recorded == 2, "one function that cannot be says nothing of another, and is not tried again"


class Frozen(Again):
    """Gives what it found while it recorded, whatever the inputs are."""

    def record(self, step):
        _, done = super().record(step)
        return lambda: None, done


def test_what_is_not_replayed_as_it_comes_is_found_out_and_comes_as_it_is(recorders):
    taken, owner, other = recorders(Frozen), Owner(), Owner()
    for seed in range(5):
        given = numbers(5, seed)
        assert torch.equal(replayed(owner, line, given), line(given))
        if functions._HERE.programs[ref(owner), given.device].records:
            assert seed < 2
    assert taken[0].recorded == 1 and not functions._HERE.inputs
    calls = []
    for seed in range(5):
        replayed(other, lambda x: calls.append(x) or torch.full_like(x, torch.nan), numbers(5, seed))
    assert len(calls) == 4, "it came as it is, was recorded, and proved twice"


def test_more_numbers_than_are_worth_it_come_as_they_are(recorders, monkeypatch):
    taken, owner = recorders(Graph), Owner()
    monkeypatch.setattr(functions, "LARGEST", 4)
    for _ in range(3):
        replayed(owner, line, numbers(5))
        replayed(owner, line, numbers(4))
    assert taken[0].recorded == 1


def test_where_it_is_switched_off_nothing_is_recorded(recorders, monkeypatch):
    monkeypatch.setenv(SWITCH, "0")
    taken, owner = recorders(Graph), Owner()
    for seed in range(3):
        assert torch.equal(replayed(owner, line, numbers(5, seed)), line(numbers(5, seed)))
    assert not taken


def test_numbers_that_are_one_in_memory_come_as_they_are(recorders):
    taken, owner = recorders(Graph), Owner()
    for seed in range(3):
        given = numbers(2, seed)[:, None].expand(2, 3)
        assert torch.equal(replayed(owner, line, given), line(given))
    assert not taken[0].recorded
    for seed in range(3):
        replayed(owner, line, numbers(1, seed).as_strided((1,), (0,)))
    assert taken[0].recorded == 1, "a side of one is not expanded, whatever its stride"


def test_threads_have_recordings_of_their_own(recorders):
    """Two of them replay in turns, so that one would read what the other has written."""
    taken, owner, meet, found = recorders(Graph), Owner(), Barrier(2), {}

    def work(thread: int) -> None:
        for turn in range(6):
            given = numbers(5, 10 * thread + turn)
            meet.wait()
            mine = replayed(owner, line, given)
            meet.wait()
            found[thread, turn] = torch.equal(mine, line(given))

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12 and all(found.values())
    assert [(each.recorded, each.replayed) for each in taken] == [(1, 5), (1, 5)]


def test_recordings_go_with_their_thread(recorders):
    recorders(Graph)
    held = []

    def work() -> None:
        owner = Owner()
        for _ in range(3):
            replayed(owner, line, numbers(5))
        (inputs,) = functions._HERE.inputs.values()
        held.append(ref(inputs[0]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    gc.collect()
    assert held[0]() is None


def test_recordings_are_given_back_all_at_once_where_an_owner_is_gone(recorders):
    taken, stays, goes = recorders(Graph), Owner(), Owner()
    for _ in range(3):
        for owner in (stays, goes):
            replayed(owner, line, numbers(5))
    assert taken[0].recorded == len(functions._HERE.inputs) == 2
    del owner, goes
    for _ in range(3):
        assert torch.equal(replayed(stays, line, numbers(5)), line(numbers(5)))
    assert taken[0].recorded == 3 and len(functions._HERE.inputs) == len(functions._HERE.programs) == 1


def test_a_thread_keeps_so_many_recordings(recorders):
    taken, owner = recorders(Graph), Owner()
    for count in range(1, MOST + 3):
        for _ in range(2):
            assert torch.equal(replayed(owner, line, numbers(count)), line(numbers(count)))
        assert len(functions._HERE.inputs) == (count if count <= MOST else count - MOST)
    assert taken[0].recorded == MOST + 2


def without_words_to_the_host() -> Again:
    class Watched(Graph):
        def record(self, step):
            with OnDevice():
                return super().record(step)

    return Watched()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_features_and_metrics_that_are_replayed_are_those_that_come_one_by_one(recorders, channels):
    images = torch.rand(9, 6, channels, 40, 40, generator=generator())
    features = load_features("efficientnet-lite0-b2")
    measured = {one.name: one.measure for kind in ("pairs", "images") for one in registered(kind)}
    pairs = {one.name for one in registered("pairs")}
    assert {"psnr_db", "ssim", "r2", "sharpness"} <= measured.keys()

    def all_of(turn: int) -> dict[str, torch.Tensor]:
        given, found = images[turn : turn + 2], {}
        for name, measure in measured.items():
            found[name] = replayed(measure, measure, *(given if name in pairs else given[:1]))
        return found | {"features": features(given[0])}

    expected = [all_of(turn) for turn in range(3)]
    taken = recorders(without_words_to_the_host)
    for turn, known in enumerate(expected):
        found = all_of(turn)
        assert not [name for name in known if not torch.equal(found[name], known[name])]
    assert taken[0].recorded == len(measured) + 1 and taken[0].replayed == 2 * taken[0].recorded


def test_features_of_several_chunks_and_a_shorter_one(recorders, monkeypatch):
    monkeypatch.setitem(BATCHES, "cpu", 4)
    features, images = load_features("efficientnet-lite0-b2"), torch.rand(11, 1, 32, 32, generator=generator())
    expected, taken = features(images), recorders(Graph)
    assert all(torch.equal(features(images), expected) for _ in range(3))
    assert taken[0].recorded == 2, "chunks of 4, and of 3"


def test_features_of_a_plug_in_are_recorded_where_it_says_so(recorders):
    own = "own", 3, "digest", "none", lambda x: x, nn.Conv2d(3, 3, 1)
    made = [Features(*own, **said) for said in ({}, {"replayable": True})]
    taken = recorders(Graph)
    for features in made:
        for _ in range(3):
            features(torch.rand(2, 3, 32, 32))
    assert [each.recorded for each in taken] == [1]


def clusters(n: int, latents: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes that overlap, and labels to begin with."""
    drawn = generator(seed)
    codes = torch.randn(n, latents, generator=drawn, dtype=torch.float64)
    codes[: n // 2] += 1.5
    return codes, torch.randint(3, (n,), generator=drawn)


@pytest.mark.parametrize("recorder", [without_words_to_the_host, Refusing])
def test_a_mixture_that_is_replayed_is_the_one_that_comes_one_by_one(recorders, recorder):
    settings = (3, 0, 1e-3), (3, 1, 1e-5), (5, 2, 1e-4), (3, 3, 1.0)
    fits = [(clusters(400, latents, seed), tolerance) for latents, seed, tolerance in settings]
    expected = [maximised(*given, 3, tolerance, 500) for given, tolerance in fits]
    assert len({iterations % 8 for _, iterations in expected}) > 1, "they end in different places of a replay"
    taken = recorders(recorder)
    for _ in range(2):
        for (given, tolerance), (known, iterations) in zip(fits, expected, strict=True):
            found, took = maximised(*given, 3, tolerance, 500)
            assert took == iterations
            assert all(torch.equal(value, known.state()[name]) for name, value in found.state().items())
    assert taken[0].recorded == (0 if recorder is Refusing else 2), "one for each number of latents"


def test_a_replayed_mixture_ends_where_one_that_comes_one_by_one_does(recorders, monkeypatch):
    codes, labels = clusters(400, 3)
    _, iterations = maximised(codes, labels, 3, 1e-5, 500)
    recorders(Graph)
    assert maximised(codes, labels, 3, 1e-5, iterations)[1] == iterations > 8
    for fewer in (1, iterations - 1):
        with pytest.raises(NotFitted, match=f"not converged after {fewer} iterations"):
            maximised(codes, labels, 3, 1e-5, fewer)
    monkeypatch.setattr(expectation, "RIDGE", 0.0)
    codes[:, 1] = 0
    with pytest.raises(NotFitted, match="not positive definite"):
        maximised(codes, labels, 3, 1e-5, 500)


def test_a_large_mixture_is_fitted_an_iteration_at_a_time(recorders, monkeypatch):
    given = clusters(400, 3)
    expected = maximised(*given, 3, 1e-3, 500)[1]
    taken = recorders(Graph)
    monkeypatch.setattr(expectation, "SMALL", 100)
    assert maximised(*given, 3, 1e-3, 500)[1] == expected and not taken


def test_an_evaluation_that_is_replayed_is_the_one_that_comes_one_by_one(recorders):
    recipe = tiny_recipe()
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, features="efficientnet-lite0-b2"))
    training, features = Training(recipe, IMAGES), load_features("efficientnet-lite0-b2")
    real = references({"test": IMAGES.test, "validation": IMAGES.validation}, IMAGES.train, features)
    training.train_epoch()
    expected = evaluate(training, features, real)
    assert any(name.startswith("xpd_") for name in expected.metrics)
    taken = recorders(Graph)
    for _ in range(3):
        found = evaluate(training, features, real)
        assert repr(found.metrics) == repr(expected.metrics)  # there, numbers that are none are equal
        assert found.pictures == expected.pictures
    assert len(taken) == 1 and taken[0].replayed > taken[0].recorded > 0
