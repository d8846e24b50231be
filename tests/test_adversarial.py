"""Adversarial training: two optimisers that leave each other's weights alone, and what becomes of a one-sided game."""

import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny import adversarial_recipe, tiny_images
from torch import Tensor, nn

from evae.adversarial import Adversarial
from evae.adversary import WON_EPOCHS, Adversary, DiscriminatorWon
from evae.checkpoints import dump_model, dump_training, load_model, restore_training
from evae.errors import Diverged, UserError
from evae.optimisation import Optimisation
from evae.posteriors import Mixture
from evae.ranks import Ranks
from evae.recipe import Recipe
from evae.streams import NOISE, ORDER
from evae.training import Training, generator

IMAGES = tiny_images()


def trained(recipe: Recipe, epochs: int) -> tuple[Training, list[dict[str, float]]]:
    training = Training(recipe, IMAGES)
    return training, [epoch(training) for _ in range(epochs)]


def epoch(training: Training) -> dict[str, float]:
    measured = training.train_epoch() | training.validate()
    return {name: value for name, value in measured.items() if name not in ("train_s", "images_per_s")}


def lasting(recipe: Recipe, epochs: int, **optimisation: Any) -> Recipe:
    return replace(recipe, optimisation=replace(recipe.optimisation, epochs=epochs, **optimisation))


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def differs(module: nn.Module, before: dict[str, Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())


def adversary(loss: str = "logistic") -> Adversary:
    recipe = adversarial_recipe(loss=loss).adversarial
    return Adversary(recipe, Optimisation(), 32, 1, torch.device("cpu"), Ranks(), seed=1)


def pictures(seed: int = 0) -> Tensor:
    return torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(seed))


def test_logistic_terms_are_cross_entropies_of_the_labels():
    game, real, made = adversary(), pictures(), pictures(1)
    adversarial, terms = game.judge(made), game.terms(real)
    of_real, of_made = game.module(real), game.module(made)
    one, zero = torch.ones_like(of_real), torch.zeros_like(of_real)
    cross_entropy = F.binary_cross_entropy_with_logits
    torch.testing.assert_close(adversarial, cross_entropy(of_made, one))
    torch.testing.assert_close(terms["discriminator"], cross_entropy(of_real, one) + cross_entropy(of_made, zero))
    right = torch.cat([(of_real > 0).flatten(), (of_made < 0).flatten()])
    torch.testing.assert_close(terms["disc_accuracy"], right.float().mean())


@pytest.mark.parametrize(
    ("of_real", "of_made", "adversarial", "loss"), [(3.0, -2.0, 2.0, 0.0), (0.5, 0.25, -0.25, 1.75)]
)
def test_hinge_terms_stop_at_the_margin(of_real, of_made, adversarial, loss):
    game = adversary("hinge")

    class Fixed(nn.Module):
        """Dark images have the logit of reconstructions."""

        def forward(self, images: Tensor) -> Tensor:
            return torch.where(images.mean((1, 2, 3)) > 0.5, of_real, of_made)

    game.module = Fixed()
    assert float(game.judge(torch.zeros(2, 1, 32, 32))) == adversarial
    assert float(game.terms(torch.ones(2, 1, 32, 32))["discriminator"]) == loss


def test_judging_sends_gradients_to_the_images_and_learning_to_the_weights():
    game, made = adversary(), pictures(1).requires_grad_()
    game.judge(made).backward()
    assert made.grad.count_nonzero() > 0
    assert all(weight.grad is None for weight in game.module.parameters())
    made.grad = None
    game.judge(made)
    game.terms(pictures())["discriminator"].backward()
    assert made.grad is None
    assert all(weight.grad is not None for weight in game.module.parameters())


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_an_epoch_is_that_of_a_plain_loop_with_two_optimisers(loss):
    """One step of each a batch, from the same reconstructions; without wrappers, shares or switches."""
    recipe = adversarial_recipe(loss=loss, weight=30.0)
    training, twin = Training(recipe, IMAGES), Training(recipe, IMAGES)
    vae, critic = twin.model.train(), twin.adversary.module
    adam = torch.optim.Adam
    of_vae, of_critic = adam(vae.parameters(), 1e-3, (0.5, 0.999)), adam(critic.parameters(), 1e-4, (0.5, 0.999))
    noise, order = generator("cpu", 0, 1, NOISE), torch.randperm(24, generator=generator("cpu", 0, 1, ORDER))
    for index in order.split(10):
        x = torch.from_numpy(IMAGES.train[index.numpy()]) / 255
        heads = vae.encode(x)
        made = (vae.decoder(recipe.posterior.sample(heads, noise)) + 1) / 2
        cost = 5000 * (2 * x - 2 * made).abs().mean()
        cost = cost + sum(
            w * recipe.posterior.terms(heads, Ranks().share(len(x)))[name]
            for name, w in recipe.posterior.weights.items()
        )
        of_real, of_made, of_fixed = critic(x), critic(made), critic(made.detach())
        if loss == "logistic":
            adversarial = F.softplus(-of_made).mean()
            learning = F.softplus(-of_real).mean() + F.softplus(of_fixed).mean()
        else:
            adversarial = -of_made.mean()
            learning = F.relu(1 - of_real).mean() + F.relu(1 + of_fixed).mean()
        of_vae.zero_grad()
        (cost + 30 * adversarial).backward(retain_graph=True)
        of_critic.zero_grad()
        learning.backward()
        of_vae.step()
        of_critic.step()
    training.train_epoch()
    for mine, other in ((training.model, vae), (training.adversary.module, critic)):
        for value, expected in zip(mine.parameters(), other.parameters(), strict=True):
            # Not the biases: a shift of all logits, or before a batch normalisation, has a gradient of rounding alone.
            if value.ndim in (2, 4):
                torch.testing.assert_close(value, expected, rtol=1e-3, atol=2e-5)


def test_the_terms_are_logged_by_name():
    training, (measured,) = trained(adversarial_recipe(), 1)
    names = ("population_nats", "individual_nats", "adversarial", "discriminator", "disc_accuracy")
    assert all(f"train_{name}" in measured for name in names)
    assert measured["train_adversarial_weight"] == training.recipe.adversarial.weight == 100
    posterior = training.recipe.posterior
    weighted = sum(weight * measured[f"train_{name}_nats"] for name, weight in posterior.weights.items())
    assert measured["train_loss_nats"] == pytest.approx(measured["train_distortion_nats"] + weighted, rel=1e-5)
    assert 0 < measured["train_disc_accuracy"] < 1
    assert "elbo" not in "".join(measured)


def test_before_its_start_a_discriminator_changes_nothing():
    without = replace(adversarial_recipe(), adversarial=None)
    _, expected = trained(without, 3)
    training = Training(adversarial_recipe(start_epoch=3), IMAGES)
    before = copied(training.adversary.module)
    assert [epoch(training) for _ in range(2)] == expected[:2]
    assert not differs(training.adversary.module, before)
    third = epoch(training)
    assert "train_adversarial" in third and differs(training.adversary.module, before)
    assert third["val_loss_nats"] != expected[2]["val_loss_nats"]


def test_the_weight_rises_in_equal_steps_from_the_start_epoch_on():
    given = Adversarial(weight=8.0, start_epoch=3, warm_up_epochs=3)
    assert [given.weight_in(epoch) for epoch in range(1, 9)] == [0, 0, 2, 4, 6, 8, 8, 8]
    assert Adversarial(weight=8.0).weight_in(1) == 8
    recipe = lasting(adversarial_recipe(weight=8.0, warm_up_epochs=1), 3)
    assert [each["train_adversarial_weight"] for each in trained(recipe, 3)[1]] == [4, 8, 8]


def state(training: Training) -> dict[str, Tensor]:
    """Weights, buffers and moments of both sides."""
    sides = {"vae": (training.model, training.optimiser)}
    sides["critic"] = training.adversary.module, training.adversary.optimiser
    found = {}
    for side, (module, optimiser) in sides.items():
        found |= {f"{side}.{name}": value for name, value in module.state_dict().items()}
        for index, moments in optimiser.state_dict()["state"].items():
            found |= {f"{side}.{index}.{name}": value for name, value in moments.items()}
    return found


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("stopped_after", [1, 2, 3])
def test_interrupted_and_restored_is_bit_identical_to_uninterrupted(stopped_after, precision):
    recipe = adversarial_recipe(Mixture(mixture_size=17), start_epoch=2, warm_up_epochs=1)
    recipe = lasting(recipe, 4, precision=precision)
    whole, measured = trained(recipe, 4)
    interrupted, _ = trained(recipe, stopped_after)
    interrupted.adversary.won_epochs = 3
    saved = dump_training(interrupted)
    epoch(interrupted)

    continued = Training(recipe, IMAGES)
    restore_training(continued, saved)
    assert continued.adversary.won_epochs == 3
    assert [epoch(continued) for _ in range(4 - stopped_after)] == measured[stopped_after:]
    mine, other = state(continued), state(whole)
    assert mine.keys() == other.keys() and len(mine) > 40
    assert [name for name in mine if not torch.equal(mine[name], other[name])] == []


def test_a_finished_model_is_the_vae_alone_and_shows_the_same_images(tmp_path):
    training, _ = trained(adversarial_recipe(), 1)
    path = tmp_path / "model.safetensors"
    path.write_bytes(dump_model(training.model, training.recipe, 32, 1))
    model = load_model(str(path))
    with torch.no_grad():
        assert torch.equal(model.reconstruct(pictures()), training.model.eval().reconstruct(pictures()))


@pytest.mark.parametrize("term", ["adversarial", "discriminator"])
def test_a_verdict_that_is_not_finite_ends_the_epoch_before_either_side_steps(term):
    training, _ = trained(adversarial_recipe(), 1)
    if term == "adversarial":
        with torch.no_grad():
            next(training.adversary.module.parameters()).fill_(float("nan"))
    else:
        terms = training.adversary.terms
        training.adversary.terms = lambda real: terms(real) | {"discriminator": torch.tensor(float("inf"))}
    before = copied(training.model), copied(training.adversary.module)
    with pytest.raises(Diverged, match=rf"^{term} became (nan|inf) in epoch 2, step 1$"):
        training.train_epoch()
    weights = dict(training.model.named_parameters())
    assert all(torch.equal(value, before[0][name]) for name, value in weights.items())
    for name, value in training.adversary.module.named_parameters():
        torch.testing.assert_close(value.detach(), before[1][name], rtol=0, atol=0, equal_nan=True)


def test_a_discriminator_that_has_won_ends_the_trial_with_a_reason_that_says_so():
    """It learns, and the VAE does not."""
    recipe = lasting(adversarial_recipe(learning_rate=1e-2), 40, learning_rate=1e-30)
    training, measured = Training(recipe, IMAGES), []
    with pytest.raises(DiscriminatorWon, match=r"the discriminator won: 5 epochs in a row .* start it later") as caught:
        for _ in range(40):
            measured.append(training.train_epoch())
    won = [each["train_disc_accuracy"] > 0.99 and each["train_adversarial"] > 10 for each in measured]
    assert won[-WON_EPOCHS + 1 :] == [True] * (WON_EPOCHS - 1) and not won[-WON_EPOCHS]
    assert isinstance(caught.value, Diverged) and caught.value.epoch == len(measured) + 1
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_epoch_in_between_in_which_it_does_not_win_starts_the_count_anew():
    game = adversary()
    for number in range(3 * WON_EPOCHS):
        game.end_epoch(number, 50.0, 0.5 if number % WON_EPOCHS == WON_EPOCHS - 1 else 1.0)
    for number in range(WON_EPOCHS - 1):
        game.end_epoch(number, 50.0, 1.0)
    with pytest.raises(DiscriminatorWon):
        game.end_epoch(99, 50.0, 1.0)


def test_the_largest_weight_still_trains_and_a_vae_that_diverges_beside_a_discriminator_is_said_to():
    assert trained(adversarial_recipe(weight=1e9), 2)[1]
    with pytest.raises(Diverged) as caught:
        trained(lasting(adversarial_recipe(weight=1e9), 9, learning_rate=1e12), 9)
    assert caught.value.term in ("distortion", "rate", "population", "individual", "loss")


def test_same_seed_same_discriminator_and_another_seed_another_one():
    one, two, other = (Training(adversarial_recipe(seed=seed), IMAGES).adversary.module for seed in (5, 5, 6))
    assert not differs(one, two.state_dict()) and differs(one, other.state_dict())


@pytest.mark.parametrize(
    ("recipe", "ranks", "named"),
    [
        (adversarial_recipe(Mixture(mixture_size=25)), Ranks(), "mixture_size is 25, but there are only 24 training"),
        (
            adversarial_recipe(),
            Ranks(0, 11),
            "a batch of 10 cannot be shared by 11 processes: give batch_size at least 11",
        ),
    ],
)
def test_what_these_images_or_processes_cannot_train_is_refused(recipe, ranks, named):
    with pytest.raises(UserError, match=named):
        Training(recipe, IMAGES, ranks=ranks)
