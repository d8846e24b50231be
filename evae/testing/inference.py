"""What every kind of inference has to do: each check takes one with its hyperparameters."""

import copy

import numpy as np
import torch
from torch import Tensor

from evae.data.base import ImageSet, content_digest
from evae.inference import Inference
from evae.likelihoods import SumOfSquares
from evae.networks import Linear
from evae.optimisation import Optimisation
from evae.posteriors import Gaussian
from evae.recipe import Recipe
from evae.testing.contract import Check, expect
from evae.training import Training

SIZE = 8


def pictures() -> ImageSet:
    """A bright column that moves over 8 pixels with a little noise: a curve in the space of images."""
    random, splits = np.random.default_rng(0), []
    for count in (40, 12, 8):
        place = random.random((count, 1, 1, 1)) * (SIZE - 1)
        light = np.exp(-0.5 * (np.arange(SIZE) - place) ** 2) + 0.02 * random.random((count, 1, SIZE, SIZE))
        splits.append(np.ascontiguousarray((255 * light.clip(0, 1)).astype(np.uint8)))
    return ImageSet(*splits, "a column", content_digest(splits), "resize", ())


def begun(inference: Inference, epochs: int = 3) -> Training:
    optimisation = Optimisation(batch_size=16, epochs=epochs, learning_rate=0.02, precision="fp32")
    parts = {"posterior": Gaussian(), "likelihood": SumOfSquares(), "network": Linear(), "latent": 1}
    return Training(Recipe(inference=inference, optimisation=optimisation, **parts), pictures())


def epoch(training: Training) -> dict[str, float]:
    """What an epoch measures, without its times."""
    return {name: value for name, value in training.train_epoch().items() if name not in ("train_s", "images_per_s")}


def weights(training: Training) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in training.trained.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def an_epoch_measures_finite_numbers(inference: Inference) -> None:
    found = epoch(begun(inference))
    expect("train_loss_nats" in found, "terms", "there is no term `loss`, which is what training descends on")
    for name, value in found.items():
        expect(np.isfinite(value), "terms", f"{name} is {value}")


def every_parameter_is_trained(inference: Inference) -> None:
    """Encoder and decoder both: the one is needed for new data, whichever inference the other was trained with."""
    training = begun(inference)
    before = weights(training)
    epoch(training)
    for name, parameter in training.trained.named_parameters():
        expect(not torch.equal(before[name], parameter), "terms", f"{name} is not moved by an epoch of training")


def training_lowers_the_loss(inference: Inference) -> None:
    training = begun(inference, epochs=12)
    losses = [epoch(training)["train_loss_nats"] for _ in range(12)]
    expect(losses[-1] < losses[0], "terms", f"the loss went from {losses[0]:.4g} to {losses[-1]:.4g} in 12 epochs")


def the_same_seed_gives_the_same_bits(inference: Inference) -> None:
    one, other = begun(inference), begun(inference)
    holds = epoch(one) == epoch(other) and equal(weights(one), weights(other))
    expect(holds, "terms", "two trainings of one seed differ: all randomness must be the step's `noise`")


def an_interrupted_training_goes_on_as_it_was(inference: Inference) -> None:
    """From the weights, the optimiser's moments and `state` alone."""
    whole = begun(inference)
    epoch(whole)
    state = {name: value.clone() for name, value in whole.course.state().items()}
    resumed = begun(inference)
    resumed.course.restore(state)
    resumed.trained.load_state_dict(weights(whole))
    resumed.optimiser.load_state_dict(copy.deepcopy(whole.optimiser.state_dict()))
    resumed.epoch = whole.epoch
    for _ in range(2):
        holds = epoch(whole) == epoch(resumed) and equal(weights(whole), weights(resumed))
        expect(holds, "state", "a training that goes on from it is not the one that was interrupted")


CHECKS: tuple[Check, ...] = (
    an_epoch_measures_finite_numbers,
    every_parameter_is_trained,
    training_lowers_the_loss,
    the_same_seed_gives_the_same_bits,
    an_interrupted_training_goes_on_as_it_was,
)
