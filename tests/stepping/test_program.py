"""Steps that are recorded and replayed, on a CPU: with a stand-in that takes the very step it was given again."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest import mock

import pytest
import torch
from recorders import Again, OnDevice, Operations, Refusing
from stepped import IMAGES, RECIPES, ROUNDED, STILL, differing, epochs
from tiny import Strided, tiny_recipe

from evae.errors import Diverged
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.mixture import Mixture
from evae.posteriors.poisson import Poisson
from evae.ranks import Ranks
from evae.recipe import Recipe
from evae.recording.program import SWITCH
from evae.stepping import epoch as loop
from evae.stepping.obstacles import obstacle
from evae.training import Training


@pytest.fixture
def on_device(monkeypatch):
    """How to have trainings work as on CUDA, with this for a recorder."""

    def train(recorder: Any, recipe: Recipe, images=IMAGES, **given: Any) -> Training:
        with monkeypatch.context() as patch:
            patch.setattr(loop, "recorder", lambda device, generators: recorder)
            return Training(recipe, images, **given)

    return train


class Watched(Again):
    """Fails where a step that is recorded reads back a number or sends one."""

    def record(self, step):
        with OnDevice():
            return super().record(step)


@dataclass(frozen=True)
class Replayed:
    """A finished training whose steps were replayed, its epochs' measurements, and where in memory lay what it moves
    when each of them had ended."""

    training: Training
    rows: list[dict[str, Any]]
    places: list[dict[str, int]]


def places(training: Training) -> dict[str, int]:
    kept = [*training.trained.state_dict(keep_vars=True).items(), *training.model.state_dict().items()]
    found = {f"{i}.{key}": value.data_ptr() for i, (key, value) in enumerate(kept)}
    for parameter, moments in training.optimiser.state.items():
        found |= {f"{id(parameter)}.{key}": value.data_ptr() for key, value in moments.items()}
    if len(training.recent.heads) == training.recent.capacity:
        found["recent"] = training.recent.heads.data_ptr()
    return found


@pytest.fixture(scope="module")
def replayed() -> Callable[[str], Replayed]:
    """The training of that name, taken once."""

    @cache
    def found(name: str) -> Replayed:
        # Where nothing is recorded, on the CPU, Adamax keeps its steps on the host.
        recorder = Again() if name in ("adamax", "poisson") else Watched()
        with mock.patch.object(loop, "recorder", lambda device, generators: recorder):
            training = Training(RECIPES[name], IMAGES)
        lay: list[dict[str, int]] = []
        return Replayed(training, epochs(training, lambda: lay.append(places(training))), lay)

    return found


@pytest.mark.parametrize("name", STILL)
def test_replayed_steps_are_those_that_come_one_by_one(on_device, replayed, name):
    """And while they are recorded, they neither read back nor send a number."""
    as_it_comes, found = on_device(Refusing(), RECIPES[name]), replayed(name)
    assert found.rows == epochs(as_it_comes)
    assert not differing(found.training, as_it_comes)
    recorder = found.training.loop.program.recorder
    assert recorder.recorded >= 2 and recorder.replayed > recorder.recorded
    assert found.training.stepped == "captured"


@pytest.mark.parametrize("name", RECIPES)
def test_on_the_device_a_training_is_what_it_is_on_the_host(replayed, name):
    host, found = Training(RECIPES[name], IMAGES), replayed(name)
    expected = epochs(host)
    if name not in ROUNDED:
        assert found.rows == expected and not differing(found.training, host)
    for mine, other in zip(found.rows, expected, strict=True):
        assert mine == pytest.approx(other, rel=1e-4, abs=1e-4)


def test_beside_its_model_a_recorded_step_asks_little_of_the_device(on_device):
    class Counting(Again):
        def record(self, step):
            with Operations() as counted:
                found = super().record(step)
            each.append(counted.asked)
            return found

    each: list[Counter[str]] = []
    training = on_device(Counting(), tiny_recipe(batch_size=8))
    training.train_epoch()
    model, x = training.trained.train(), torch.rand(8, *IMAGES.train.shape[1:])
    with Operations() as bare:
        training.optimiser.zero_grad()
        model(x, training.loop.noise, progress=0.0)["loss"].backward()
        del training.optimiser.found_inf
        training.optimiser.step()
    asked = each[0] - bare.asked
    # To find its images (4) and its place in the epoch (2), to note its terms (2), to see whether they are finite, and
    # to move nothing if they are not.
    assert asked.total() <= 10, asked


@pytest.mark.parametrize("name", STILL)
def test_what_a_recorded_step_moves_stays_where_it_is(replayed, name):
    first, *others = replayed(name).places
    assert len(others) >= 2
    for places in others:
        assert {name: place for name, place in places.items() if name in first} == first


def test_a_device_that_cannot_record_trains_on_and_says_why(on_device):
    training = on_device(Refusing(), RECIPES["gaussian"])
    assert epochs(training)
    assert training.stepped == "as it comes: it cannot be captured (operation not permitted when stream is capturing)"


@pytest.mark.parametrize("name", ["gaussian", "mixture", "adversarial"])
def test_a_step_that_fails_while_it_is_recorded_has_not_been(on_device, monkeypatch, name):
    class Failing(Again):
        def record(self, step):
            drawn = {each: each.get_state() for each in (training.loop.noise, training.loop.flips)}
            with monkeypatch.context() as patch:
                patch.setattr(training.loop.tally, "note", refuse)
                try:
                    step()
                finally:  # on CUDA nothing would have been drawn
                    for generator, state in drawn.items():
                        generator.set_state(state)

    def refuse(*given: Any) -> None:
        raise RuntimeError("not while it is captured")

    training, expected = on_device(Failing(), RECIPES[name]), on_device(Refusing(), RECIPES[name])
    rows = epochs(training)
    assert training.stepped == "as it comes: it cannot be captured (not while it is captured)"
    assert rows == epochs(expected)
    batches = "num_batches_tracked"  # those that BatchNorm has seen, which on CUDA would not have been one more
    assert not [each for each in differing(training, expected) if not each.endswith(batches)]


def test_what_was_recorded_can_be_given_back_and_is_recorded_anew(on_device):
    recorder, expected = Again(), on_device(Again(), RECIPES["mixture"])
    training = on_device(recorder, RECIPES["mixture"])
    rows = [training.train_epoch() for _ in range(2)]
    before = recorder.recorded
    training.release()
    assert before and not training.loop.program.kinds
    assert len(rows) + len(epochs(training)) == len(epochs(expected)) and not differing(training, expected)
    assert recorder.recorded > before


def test_replayed_steps_end_in_a_meeting_of_all_ranks_before_any_is_waited_for(on_device, monkeypatch):
    events: list[str] = []

    class Watched(Ranks):
        def meet(self, device: torch.device) -> None:
            events.append("meet")

    monkeypatch.setattr(loop, "AHEAD", 2)
    for recorder, meets in ((Again(), ["meet"]), (Refusing(), [])):
        training = on_device(recorder, RECIPES["gaussian"], ranks=Watched())
        training.train_epoch()
        program, tally = training.loop.program, training.loop.tally
        run, read = program.run, tally.read
        monkeypatch.setattr(program, "run", lambda *given, run=run: (events.append("step"), run(*given))[1])
        monkeypatch.setattr(tally, "read", lambda read=read: (events.append("read"), read())[1])
        events.clear()
        training.train_epoch()
        assert events == ["step", "step", *meets, "step", *meets, "read"]


def test_on_a_cpu_steps_come_as_they_are():
    assert Training(tiny_recipe(), IMAGES).stepped == "as it comes"


@pytest.mark.parametrize("optimiser", ["adam", "adamax"])
@pytest.mark.parametrize("recorder", [Again, Refusing])
def test_after_a_step_that_overflows_nothing_moves(on_device, recorder, optimiser):
    """The host stops at that step, and the device goes on to the end of the epoch: both end with the same."""
    optimisation = {"optimiser": optimiser, "ema": 0.5}
    recipe = tiny_recipe(Mixture(mixture_size=14), learning_rate=2.0**20, batch_size=3, **optimisation)
    device, host = on_device(recorder(), recipe), Training(recipe, IMAGES)
    errors = []
    for training in (device, host):
        with pytest.raises(Diverged) as caught:
            epochs(training)
        errors.append(caught.value)
    told = [(each.epoch, each.step, each.term) for each in errors]
    assert told[0] == told[1] and 1 < errors[0].step < 8
    assert str(errors[0]).endswith(f"in epoch {errors[0].epoch}, step {errors[0].step}")
    running = ("running_mean", "running_var", "num_batches_tracked")
    assert not [name for name in differing(device, host) if not name.endswith(running)]


def test_what_needs_the_host_is_not_recorded(monkeypatch):
    def why(recipe: Recipe, **given: Any) -> str | None:
        return obstacle(Training(recipe, IMAGES, **given))

    assert all(why(RECIPES[name]) is None for name in STILL)
    assert why(tiny_recipe(Poisson(beta=0.5, log_rate=0.0))) == "poisson needs the host"
    assert why(tiny_recipe(), recomputes=True) == "blocks are computed twice"
    assert why(replace(tiny_recipe(), network=Strided())) == "strided needs the host"  # a plug-in's
    monkeypatch.setenv(SWITCH, "0")
    assert why(tiny_recipe()) == "EVAE_GRAPHS is 0"


def test_a_plug_in_says_that_it_can_be_recorded():
    class Own(Gaussian):
        family = "own"

    class Still(Own):
        replayable = True

    assert [obstacle(Training(tiny_recipe(each()), IMAGES)) for each in (Own, Still)] == ["own needs the host", None]
