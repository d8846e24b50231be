"""Training as a recipe's optimisation says: against plain loops, across an interruption, and with a discriminator."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from tiny import adversarial_recipe, flipping, tiny_images, tiny_recipe
from torch import Tensor, nn

from evae.checkpoints import dump_model, dump_training, load_model, restore_training
from evae.errors import UserError
from evae.networks.base import Network
from evae.posteriors import Categorical, Gaussian, Mixture, Poisson
from evae.priors import MixturePrior
from evae.recipe import Recipe
from evae.streams import NOISE, ORDER
from evae.training import Training, generator

IMAGES = tiny_images()
STEPS = 3
"""Of an epoch: batches of 10 of 24 images."""
EVERYTHING = {
    "optimiser": "adamw",
    "weight_decay": 0.1,
    "clip_norm": 50.0,
    "schedule": "cosine",
    "warm_up_epochs": 0.5,
    "cosine_floor": 0.1,
    "cosine_restarts": 1,
    "ema": 0.8,
    "beta_warm_up_epochs": 1.2,
    "beta_cycles": 2,
}


def epoch(training: Training) -> dict[str, float]:
    measured = training.train_epoch() | training.validate()
    return {name: value for name, value in measured.items() if name not in ("train_s", "images_per_s")}


def state(training: Training) -> dict[str, Tensor]:
    """Weights, buffers and moments of everything that is trained or averaged."""
    sides: dict[str, Any] = {"model": (training.model, None), "trained": (training.trained, training.optimiser)}
    if training.adversary:
        sides["critic"] = training.adversary.module, training.adversary.optimiser
    found = {}
    for side, (module, optimiser) in sides.items():
        found |= {f"{side}.{name}": value for name, value in module.state_dict().items()}
        for index, moments in optimiser.state_dict()["state"].items() if optimiser else ():
            found |= {f"{side}.{index}.{name}": value for name, value in moments.items()}
    return {name: value.clone() for name, value in found.items()}


def with_everything(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, optimisation=replace(recipe.optimisation, epochs=4, **(EVERYTHING | changes)))


RECIPES = {
    "adamw": with_everything(flipping(tiny_recipe())),
    "adamax": with_everything(tiny_recipe(), optimiser="adamax", precision="bf16"),
    "adversarial": with_everything(adversarial_recipe(Mixture(mixture_size=17), start_epoch=2)),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("stopped_after", [1, 2, 3])
def test_interrupted_and_restored_is_bit_identical_to_uninterrupted(name, stopped_after):
    whole = Training(RECIPES[name], IMAGES)
    measured = [epoch(whole) for _ in range(4)]
    interrupted = Training(RECIPES[name], IMAGES)
    for _ in range(stopped_after):
        epoch(interrupted)
    saved = dump_training(interrupted)
    continued = Training(RECIPES[name], IMAGES)
    restore_training(continued, saved)
    # As a worker group does that lost its workers after an epoch.
    assert continued.validate() == interrupted.validate()
    assert [epoch(continued) for _ in range(4 - stopped_after)] == measured[stopped_after:]
    mine, other = state(continued), state(whole)
    assert mine.keys() == other.keys()
    assert [name for name in mine if not torch.equal(mine[name], other[name])] == []


def plain_loop(training: Training, optimiser: torch.optim.Optimizer, epochs: int, step) -> None:
    """`training`'s recipe without its loop: of a Gaussian posterior, `step(number, loss, optimiser)` a batch."""
    vae, number = training.trained.train(), 0
    for epoch in range(1, epochs + 1):
        noise, order = generator("cpu", 0, epoch, NOISE), generator("cpu", 0, epoch, ORDER)
        for index in torch.randperm(24, generator=order).split(10):
            x = torch.from_numpy(IMAGES.train[index.numpy()]) / 255
            heads = vae.encode(x)
            outputs = vae.decoder(vae.posterior.sample(heads, noise))
            optimiser.zero_grad()
            distortion = vae.likelihood.distortion(outputs, x)
            step(number, (distortion, vae.posterior.rate(heads).sum() / len(x)), optimiser)
            number += 1


def assert_near(model: nn.Module, other: nn.Module) -> None:
    for mine, expected in zip(model.parameters(), other.parameters(), strict=True):
        # Not the biases: before a batch normalisation their gradient is rounding alone.
        if mine.ndim in (2, 4):
            torch.testing.assert_close(mine, expected, rtol=1e-3, atol=2e-5)


def test_steps_are_those_of_torchs_scheduler_optimiser_and_clipping():
    """Half an epoch of warm-up, then a cosine; and the gradient's norm is beyond 50 in every step."""
    recipe = tiny_recipe(
        optimiser="adamax", weight_decay=0.5, clip_norm=50.0, schedule="cosine", warm_up_epochs=2 / 3, epochs=2
    )
    training, twin, norms = Training(recipe, IMAGES), Training(recipe, IMAGES), []
    rates = [0.5, 1.0, *(0.5 + 0.5 * torch.cos(torch.arange(4) / 4 * torch.pi)).tolist()]

    def step(number: int, terms: tuple[Tensor, Tensor], optimiser: torch.optim.Optimizer) -> None:
        sum(terms).backward()
        norms.append(float(nn.utils.clip_grad_norm_(twin.trained.parameters(), 50.0)))
        optimiser.param_groups[0]["lr"] = 1e-3 * rates[number]
        optimiser.step()

    plain_loop(twin, torch.optim.Adamax(twin.trained.parameters(), 1e-3, weight_decay=0.5), 2, step)
    rows = [training.train_epoch() for _ in range(2)]
    assert min(norms) > 50
    for row, part in zip(rows, (slice(3), slice(3, 6)), strict=True):
        assert row["train_learning_rate"] == pytest.approx(1e-3 * sum(rates[part]) / 3)
        assert row["train_gradient_norm"] == pytest.approx(sum(norms[part]) / 3, rel=1e-3)
    assert_near(training.trained, twin.trained)


def test_a_gradient_within_the_norm_is_left_alone_to_the_last_bit():
    plain, clipped = (Training(tiny_recipe(clip_norm=norm), IMAGES) for norm in (None, 1e9))
    row = epoch(clipped)
    assert row.pop("train_gradient_norm") > 50
    assert row == epoch(plain)


def test_decoupled_decay_shrinks_weights_by_its_product_with_the_learning_rate_beside_adams_step():
    images = tiny_images(train=10)  # one step
    adam, adamw = tiny_recipe(), tiny_recipe(optimiser="adamw", weight_decay=20.0)
    start, plain, decayed = (Training(recipe, images) for recipe in (adam, adam, adamw))
    plain.train_epoch(), decayed.train_epoch()
    models = (training.trained.parameters() for training in (start, plain, decayed))
    for before, without, with_it in zip(*models, strict=True):
        torch.testing.assert_close(with_it - without, -1e-3 * 20.0 * before, rtol=1e-3, atol=1e-6)


def test_the_average_is_that_of_every_steps_weights_with_its_share():
    decay = 0.8
    training, weights = Training(tiny_recipe(ema=decay), IMAGES), []
    take_step = training.optimiser.step

    def watched_step() -> None:
        take_step()
        weights.append([p.detach().double().clone() for p in training.trained.parameters()])

    training.optimiser.step = watched_step
    for epochs in (1, 2):
        epoch(training)
        shares = [decay ** (len(weights) - 1 - i) for i in range(epochs * STEPS)]
        for number, average in enumerate(training.model.parameters()):
            expected = sum(share * each[number] for share, each in zip(shares, weights, strict=True)) / sum(shares)
            torch.testing.assert_close(average.double(), expected, rtol=1e-5, atol=1e-6)


def test_an_average_changes_nothing_of_the_training_and_is_what_is_measured_and_kept(tmp_path):
    plain, averaged = Training(tiny_recipe(), IMAGES), Training(tiny_recipe(ema=0.9), IMAGES)
    assert plain.model is plain.trained
    rows = [(epoch(plain), epoch(averaged)) for _ in range(2)]
    for one, other in rows:
        trained = [name for name in one if name.startswith("train_")]
        assert trained and all(one[name] == other[name] for name in trained)
    assert all(map(torch.equal, plain.trained.parameters(), averaged.trained.parameters()))
    assert rows[1][0]["val_loss_nats"] != rows[1][1]["val_loss_nats"]

    path = tmp_path / "model.safetensors"
    path.write_bytes(dump_model(averaged.model, averaged.recipe, 32, 1))
    kept = load_model(str(path))
    assert all(map(torch.equal, kept.parameters(), averaged.model.parameters()))
    assert not all(map(torch.equal, kept.parameters(), averaged.trained.parameters()))


def test_the_averaged_model_has_batch_statistics_of_its_own_weights():
    training = Training(tiny_recipe(ema=0.9), IMAGES)
    epoch(training)
    convolution, norm = training.model.encoder[:2]
    with torch.no_grad():
        seen = convolution(torch.from_numpy(IMAGES.train.copy()) / 255).transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.running_mean, seen.mean(1), rtol=1e-4, atol=1e-5)
    assert not torch.equal(norm.running_mean, training.trained.encoder[1].running_mean)


def test_what_a_posterior_and_a_prior_learn_is_averaged_with_the_model():
    poisson = Training(tiny_recipe(Poisson(), ema=0.9), IMAGES)
    mixture = Training(replace(tiny_recipe(ema=0.9), prior=MixturePrior(components=2)), IMAGES)
    for training in (poisson, mixture):
        training.train_epoch()
    assert poisson.model.posterior.learned is poisson.model.learned is not poisson.trained.learned
    averaged = poisson.model.learned["log_rates"], mixture.model.prior.means
    trained = poisson.trained.learned["log_rates"], mixture.trained.prior.means
    for mine, other in zip(averaged, trained, strict=True):
        assert not torch.equal(mine, other)
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-2)


@dataclass(frozen=True, kw_only=True)
class Normed(Network):
    """A layer each way, of a spectral norm that training estimates step by step and keeps in buffers."""

    family: ClassVar[str] = "normed"

    def build(self, image_size: int, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        shape = (channels, image_size, image_size)
        encoder = nn.utils.parametrizations.spectral_norm(nn.Linear(math.prod(shape), heads * latent))
        return nn.Sequential(nn.Flatten(), encoder), nn.Sequential(
            nn.Linear(latent, math.prod(shape)), nn.Unflatten(1, shape)
        )


def test_other_buffers_of_the_averaged_model_are_those_of_the_last_step():
    training = Training(replace(tiny_recipe(ema=0.9), network=Normed()), IMAGES)
    before = state(training)
    epoch(training)
    mine, trained = dict(training.model.named_buffers()), dict(training.trained.named_buffers())
    assert mine and all(torch.equal(mine[name], trained[name]) for name in mine)
    assert not any(torch.equal(mine[name], before[f"model.{name}"]) for name in mine)


def test_a_checkpoint_without_the_average_is_no_checkpoint_of_such_a_training():
    """And leaves the training as it was."""
    plain, averaged = Training(tiny_recipe(), IMAGES), Training(tiny_recipe(ema=0.9), IMAGES)
    epoch(plain)
    plain.recipe = averaged.recipe
    before = state(averaged)
    with pytest.raises(UserError, match="do not fit"):
        restore_training(averaged, dump_training(plain))
    after = state(averaged)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_beta_warms_up_step_by_step_in_the_training_loss_alone():
    recipe = tiny_recipe(Gaussian(beta=3.0), epochs=2, beta_warm_up_epochs=4 / 3)
    training, twin = Training(recipe, IMAGES), Training(recipe, IMAGES)
    factors = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]

    def step(number: int, terms: tuple[Tensor, Tensor], optimiser: torch.optim.Optimizer) -> None:
        (terms[0] + 3.0 * factors[number] * terms[1]).backward()
        optimiser.step()

    plain_loop(twin, torch.optim.Adam(twin.trained.parameters(), 1e-3), 2, step)
    first, second = epoch(training), epoch(training)
    assert_near(training.trained, twin.trained)
    assert (first["train_beta_factor"], second["train_beta_factor"]) == pytest.approx((0.25, 2.75 / 3))
    assert first["train_loss_nats"] < first["train_distortion_nats"] + 3 * first["train_rate_nats"]
    for row in (first, second):
        weighted = row["val_distortion_nats"] + 3 * row["val_rate_nats"]
        assert row["val_loss_nats"] == pytest.approx(weighted, rel=1e-5)
        assert row["train_elbo_nats"] == pytest.approx(-row["train_distortion_nats"] - row["train_rate_nats"], rel=1e-5)


def test_all_terms_of_a_mixture_warm_up():
    recipe = tiny_recipe(Mixture(population_beta=2.0), epochs=1, beta_warm_up_epochs=1.0)
    row = Training(recipe, tiny_images(train=20)).train_epoch()  # two batches: factors 0 and 1/2
    assert row["train_beta_factor"] == 0.25
    whole = sum(row[f"train_{name}_nats"] * weight for name, weight in recipe.posterior.weights.items())
    assert 0 < row["train_loss_nats"] - row["train_distortion_nats"] < 0.5 * whole


def test_what_does_not_change_is_no_column():
    columns = {"train_learning_rate", "train_beta_factor", "train_gradient_norm"}
    assert not columns & epoch(Training(tiny_recipe(), IMAGES)).keys()


def test_a_discriminator_has_the_schedule_the_decay_and_the_clipping_and_a_learning_rate_of_its_own():
    recipe = adversarial_recipe(learning_rate=1e-2, beta1=0.3)
    recipe = with_everything(recipe, optimiser="adamax", ema=None, beta_warm_up_epochs=0.0, beta_cycles=1)
    training = Training(recipe, IMAGES)
    seen = []
    for optimiser in (training.optimiser, training.adversary.optimiser):
        take_step, (group,) = optimiser.step, optimiser.param_groups

        def watched_step(take_step=take_step, group=group) -> None:
            norm = torch.stack([p.grad.norm() for p in group["params"]]).norm()
            seen.append((group["lr"], group["betas"][0], group["weight_decay"], float(norm)))
            take_step()

        optimiser.step = watched_step
    training.train_epoch()
    for number, (vae, critic) in enumerate(zip(seen[::2], seen[1::2], strict=True)):
        factor = recipe.optimisation.learning_rate_factor(number, STEPS)
        assert vae[:3] == pytest.approx((1e-3 * factor, 0.5, 0.1))
        assert critic[:3] == pytest.approx((1e-2 * factor, 0.3, 0.1))
        assert max(vae[3], critic[3]) <= 50 * (1 + 1e-5)
    assert isinstance(training.adversary.optimiser, torch.optim.Adamax)


def test_the_temperature_of_stand_ins_is_a_column():
    recipe = tiny_recipe(Categorical(first_temperature=0.9, temperature=0.1, annealing=1.0), epochs=2)
    training = Training(recipe, IMAGES)
    found = [epoch(training)["train_temperature"] for _ in range(2)]
    # Three steps an epoch, of which the first has seen nothing of the training.
    assert found == pytest.approx([0.9 - 0.8 / 6, 0.9 - 0.8 * 4 / 6])
