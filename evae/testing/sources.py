"""What functions that are registered by name have to do: data sources, features, samplers, and callbacks' methods."""

import inspect
from collections.abc import Callable

import optuna
import torch

from evae.callbacks import Callback
from evae.data.base import Source
from evae.errors import UserError
from evae.metrics.features import Features
from evae.testing.contract import Check, expect
from evae.trackers import Tracker


def a_source_takes_recipe_and_root(source: Source) -> None:
    """What it reads is checked when it is read."""
    parameters = inspect.signature(source.read).parameters
    expect(len(parameters) == 2, source.read.__name__, "takes (recipe, root) and returns evae.data.Raw")


def features_are_rows_of_finite_numbers(load: Callable[[], Features]) -> None:
    """The same for the same images, whatever their channels."""
    method = getattr(load, "__name__", "the function")
    try:
        found = load()
    except UserError:
        return  # weights that are not on this machine: the study will say so, if it asks for them
    expect(isinstance(found, Features), method, "returns evae.metrics.features.Features")
    for channels in (1, 3):
        images = torch.rand(3, channels, 32, 32, generator=torch.Generator().manual_seed(0))
        rows = found(images)
        expect(rows.shape == (3, found.dim), method, f"features are {tuple(rows.shape)} instead of (3, {found.dim})")
        expect(torch.isfinite(rows).all(), method, "features are not finite")
        expect(torch.equal(rows, found(images)), method, "the same images have other features the second time")


def a_sampler_draws_from_the_space(make: Callable[[int], optuna.samplers.BaseSampler]) -> None:
    """A few trials of two objectives, and the same ones for the same seed."""
    method = getattr(make, "__name__", "the function")

    def drawn(seed: int) -> list[dict[str, float]]:
        sampler = make(seed)
        expect(isinstance(sampler, optuna.samplers.BaseSampler), method, "returns a sampler of Optuna's")
        study = optuna.create_study(sampler=sampler, directions=["minimize", "maximize"])
        for _ in range(3):
            trial = study.ask()
            x, kind = trial.suggest_float("x", 0.0, 1.0), trial.suggest_categorical("kind", ["a", "b"])
            study.tell(trial, [x, x + (kind == "a")])
        return [trial.params for trial in study.trials]

    expect(drawn(3) == drawn(3), method, "ignores its seed: the same one gives other suggestions")


def a_callback_is_one(callback: type[Callback]) -> None:
    expect(issubclass(callback, Callback), callback.__name__, "derives from evae.callbacks.Callback")


def a_tracker_is_one(tracker: type[Tracker]) -> None:
    expect(issubclass(tracker, Tracker), tracker.__name__, "derives from evae.trackers.Tracker")


SOURCE: tuple[Check, ...] = (a_source_takes_recipe_and_root,)
FEATURES: tuple[Check, ...] = (features_are_rows_of_finite_numbers,)
SAMPLER: tuple[Check, ...] = (a_sampler_draws_from_the_space,)
CALLBACK: tuple[Check, ...] = (a_callback_is_one,)
TRACKER: tuple[Check, ...] = (a_tracker_is_one,)
