"""A posterior with parameters of its own: trained with the model, averaged, kept, and resumed."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from tiny import tiny_images, tiny_recipe
from torch import nn
from torch.distributions import Normal, kl_divergence

from evae.checkpoints import dump_model, dump_training, load_model, restore_training
from evae.posteriors import Gaussian
from evae.posteriors import posterior as families
from evae.testing.posteriors import CHECKS
from evae.training import Training


class Where(nn.Module):
    def __init__(self, latent: int):
        super().__init__()
        self.mean = nn.Parameter(torch.randn(latent))
        self.log_std = nn.Parameter(torch.randn(latent))


@dataclass(frozen=True, kw_only=True)
class Fitted(Gaussian):
    """A Gaussian posterior whose prior is N(mean, std^2), learned; the noise shrinks in the course of training."""

    family: ClassVar[str] = "fitted"

    def build(self, latent):
        return Where(latent)

    @property
    def prior_mean(self):
        return self.learned.mean.detach()

    @property
    def prior_std(self):
        return self.learned.log_std.detach().exp()

    def training_sample(self, heads, generator, progress):
        return self.mean(heads) + (1 - progress) * (self.sample(heads, generator) - self.mean(heads))

    def rate(self, heads):
        prior = Normal(self.learned.mean.to(heads.dtype), self.learned.log_std.to(heads.dtype).exp())
        return kl_divergence(Normal(self.mean(heads), self.std(heads)), prior)

    def prior_log_density(self, codes):
        return Normal(self.learned.mean.to(codes.dtype), self.learned.log_std.to(codes.dtype).exp()).log_prob(codes)

    def sample_prior(self, n, latent, generator, device="cpu"):
        return self.prior_mean + self.prior_std * super().sample_prior(n, latent, generator, device)


@pytest.fixture(autouse=True)
def registered():
    families.add(Fitted.family, Fitted)
    yield
    families.entries.pop(Fitted.family)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(check):
    check(Fitted())


def parameters(training: Training) -> list[torch.Tensor]:
    return [value.clone() for value in training.model.learned.state_dict().values()]


def test_its_parameters_are_trained_averaged_and_resumed():
    recipe = tiny_recipe(Fitted(beta=0.5), ema=0.9, clip_norm=10.0)
    whole = Training(recipe, tiny_images())
    first = parameters(whole)
    whole.train_epoch()
    kept = dump_training(whole)
    resumed = Training(recipe, tiny_images())
    restore_training(resumed, kept)
    for training in (whole, resumed):
        training.train_epoch()
    assert all(map(torch.equal, parameters(whole), parameters(resumed)))
    assert whole.validate() == resumed.validate()
    assert not any(map(torch.equal, parameters(whole), first))
    # The mean weights are those that are measured.
    assert whole.model.posterior.learned is whole.model.learned is not whole.trained.learned
    assert not any(map(torch.equal, parameters(whole), whole.trained.learned.state_dict().values()))


def test_a_finished_model_has_them(tmp_path):
    training = Training(tiny_recipe(Fitted()), tiny_images())
    training.train_epoch()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(dump_model(training.model, training.recipe, 32, 1))
    loaded = load_model(str(path))
    noise = [torch.Generator().manual_seed(0) for _ in range(2)]
    assert torch.equal(loaded.sample(3, noise[0]), training.model.sample(3, noise[1]))


def test_the_draws_of_a_step_know_how_far_training_is():
    """At the end of training the noise is gone; a measurement has all of it."""
    training = Training(replace(tiny_recipe(Fitted())), tiny_images())
    seen = []
    model, forward = training.model, training.model.forward

    def watched(*given, **named):
        seen.append(named.get("progress"))
        return forward(*given, **named)

    model.forward = watched
    training.train_epoch()
    training.train_epoch()
    training.validate()
    # Three batches an epoch, three epochs in the recipe.
    assert seen == [pytest.approx(step / 9) for step in range(6)] + [None]
    x, generator = torch.rand(2, 1, 32, 32), torch.Generator().manual_seed(0)
    heads = model.encode(x)
    assert torch.equal(model.posterior.training_sample(heads, generator, 1.0), model.posterior.mean(heads))
