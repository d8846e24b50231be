"""The log likelihood of images: exact where it can be, and never looser with more samples."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from tiny import POSTERIORS, tiny_images, tiny_recipe
from torch import Tensor, nn

from evae.errors import UserError
from evae.evaluation import Evaluated, evaluate
from evae.evaluation.evidence import log_likelihood
from evae.evaluation.rows import WEIGHTS
from evae.likelihoods import Laplace, Likelihood, Logistic
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.models import VAE
from evae.posteriors import Evae, Gaussian, KernelKL, Mixture, Posterior
from evae.recipe import Evaluation, Recipe
from evae.streams import hashed
from evae.training import Training

IMAGES = tiny_images(validation=20, test=20)
LATENT, PIXELS, NOISE = 2, 16, 0.3


@dataclass(frozen=True, kw_only=True)
class Normal(Likelihood):
    """Every pixel normal about the output."""

    family: ClassVar[str] = "normal"
    has_elbo: ClassVar[bool] = True

    def distortion(self, outputs: Tensor, x: Tensor) -> Tensor:
        return -torch.distributions.Normal(outputs, NOISE).log_prob(x).sum() / len(x)

    def images(self, outputs: Tensor) -> Tensor:
        return outputs


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True, kw_only=True)
class Narrow(Gaussian):
    """The Gaussian posterior, with a prior that knows no codes beyond its reach."""

    family: ClassVar[str] = "narrow"

    reach: float = 0.0

    def prior_log_density(self, codes: Tensor) -> Tensor:
        return torch.where(codes.abs() <= self.reach, super().prior_log_density(codes), -math.inf)


def linear_gaussian(widened: float = 1.0, posterior: Posterior | None = None) -> tuple[VAE, Tensor, Tensor]:
    """Probabilistic PCA (Tipping & Bishop, 1999): the model, 40 images of it, and ln p(x) of each in closed form.

    The loadings are orthogonal, so that the posterior is a Gaussian without covariances: the encoder's is that one, or
    `widened` in its standard deviations.
    """
    loadings = torch.linalg.qr(torch.randn(PIXELS, LATENT, generator=generator(3), dtype=torch.float64))[0]
    loadings, mean = loadings * torch.tensor([1.5, 0.7]), torch.rand(PIXELS, generator=generator(4)).double()
    variance = NOISE**2 / (loadings.square().sum(0) + NOISE**2)
    std = variance.sqrt() * widened
    second = 2 * std.log() if posterior is None else torch.expm1(std).log()  # ln sigma^2, or r by softplus
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 2 * LATENT))
    decoder = nn.Sequential(nn.Linear(LATENT, PIXELS), nn.Unflatten(1, (1, 4, 4)))
    with torch.no_grad():
        onto = variance[:, None] * loadings.T / NOISE**2
        encoder[1].weight.copy_(torch.cat([onto, torch.zeros_like(onto)]))
        encoder[1].bias.copy_(torch.cat([-onto @ mean, second]))
        decoder[0].weight.copy_(loadings)
        decoder[0].bias.copy_(mean)
    marginal = torch.distributions.MultivariateNormal(
        mean, loadings @ loadings.T + NOISE**2 * torch.eye(PIXELS, dtype=torch.float64)
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        x = marginal.sample((40,))
    vae = VAE(posterior or Gaussian(), encoder, decoder, code_shape=(LATENT,), likelihood=Normal())
    return vae.requires_grad_(False).eval(), x.float().view(-1, 1, 4, 4), marginal.log_prob(x).float()


@pytest.mark.parametrize("samples", [1, 3])
def test_with_the_true_posterior_every_sample_gives_the_exact_value(samples):
    vae, x, exact = linear_gaussian()
    torch.testing.assert_close(log_likelihood(vae, x, samples, generator()), exact, rtol=1e-4, atol=1e-3)


def test_one_sample_is_the_elbo_on_average_and_many_come_to_the_exact_value():
    """Between the encoder's Gaussians and the true ones, whose widths differ by a factor, the divergence is known."""
    widened = 1.7
    vae, x, exact = linear_gaussian(widened)
    gap = LATENT * ((widened**2 - 1) / 2 - math.log(widened))
    single = log_likelihood(vae, x.repeat(400, 1, 1, 1), 1, generator()) - exact.repeat(400)
    assert float(single.mean()) == pytest.approx(-gap, abs=5 * float(single.std()) / math.sqrt(len(single)))
    torch.testing.assert_close(log_likelihood(vae, x, 1000, generator()), exact, rtol=0, atol=0.2)


def test_more_samples_are_never_looser():
    vae, x, exact = linear_gaussian(widened=1.7)
    means = [float(log_likelihood(vae, x.repeat(50, 1, 1, 1), k, generator(k)).mean()) for k in (1, 2, 5, 20, 100)]
    assert means == sorted(means) and means[-1] <= float(exact.mean()) + 0.01


@pytest.mark.parametrize("kernel", ["uniform", "epanechnikov", "triweight", "gaussian", "laplace"])
def test_the_limit_is_the_exact_value_but_for_what_lies_beyond_the_support(kernel):
    narrowed, posterior = 0.8, KernelKL(kernel=kernel)
    vae, x, exact = linear_gaussian(narrowed, posterior)
    within = math.erf(posterior.shape.support * narrowed / math.sqrt(2))  # of each latent's true posterior
    found = (log_likelihood(vae, x, 300, generator()) - exact).mean()
    assert float(found) == pytest.approx(LATENT * math.log(within), abs=0.03)


def test_memory_does_not_grow_with_the_samples():
    """All that the decoder is ever given at once is a code for each image."""
    vae, x, _ = linear_gaussian()
    seen = []
    vae.decoder.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    log_likelihood(vae, x, 50, generator())
    assert seen == [(len(x), LATENT)] * 50


def test_a_code_that_the_prior_does_not_know_counts_for_nothing():
    vae, x, _ = linear_gaussian()
    vae.posterior = Narrow(reach=-1.0)
    assert log_likelihood(vae, x, 2, generator()).eq(-math.inf).all()


@pytest.mark.parametrize("posterior", [*POSTERIORS, Evae()], ids=repr)
def test_what_has_a_density_and_a_prior_has_a_log_likelihood(posterior):
    encoder, decoder = nn.Identity(), nn.Identity()
    known = posterior.family not in ("autoencoder", "rae", "evae", "gaussian_relu")
    for likelihood, whole in ((Normal(), True), (Laplace(), False)):
        vae = VAE(posterior, encoder, decoder, code_shape=(3,), likelihood=likelihood)
        assert vae.has_log_likelihood == (known and whole)
    if not known:
        with pytest.raises(UserError, match="density"):
            vae.estimated_rates(torch.zeros(1, 6), torch.zeros(1, 3))


@pytest.fixture(scope="module")
def features():
    return load_features("efficientnet-lite0-b2")


def measured(recipe: Recipe, features, searched=None) -> tuple[Training, Evaluated]:
    training = Training(recipe, IMAGES)
    references = {split: reference(getattr(IMAGES, split), IMAGES.train, features) for split in ("validation", "test")}
    return training, evaluate(training, features, references, pictures=False, searched=searched)


def test_it_is_measured_where_it_is_asked_for_on_draws_of_each_splits_own(features):
    recipe = replace(tiny_recipe(), likelihood=Logistic())
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, iw_samples=3))
    training, found = measured(recipe, features)
    metrics = found.metrics
    assert found.distances["val_nll_nats"] == {"samples": 3, "n_measured": 20, "split": "validation", "seed": 0}
    x = torch.from_numpy(IMAGES.test.copy()) / 255
    nats = -float(log_likelihood(training.model, x, 3, generator(hashed(0, 0, WEIGHTS))).double().mean())
    assert metrics["nll_nats"] == pytest.approx(nats, rel=1e-6)
    assert metrics["bits_per_dim"] == pytest.approx(nats / 1024 / math.log(2), rel=1e-6)
    assert metrics["nll_nats"] < -metrics["elbo_nats"] * 1.02
    assert math.isfinite(metrics["val_nll_nats"]) and metrics["val_bits_per_dim"] != metrics["bits_per_dim"]


@pytest.mark.parametrize(("searched", "there"), [(["val_gen_fd_x"], False), (["val_nll_nats"], True)])
def test_the_validation_split_has_it_where_the_search_looks_at_it(searched, there, features):
    recipe = replace(tiny_recipe(), evaluation=Evaluation(features="efficientnet-lite0-b2", iw_samples=1))
    metrics = measured(recipe, features, searched)[1].metrics
    assert "nll_nats" in metrics and ("val_nll_nats" in metrics) == there


def test_grey_levels_are_no_bits_of_a_bernoulli_variable(features):
    recipe = tiny_recipe(Mixture())
    metrics = measured(replace(recipe, evaluation=replace(recipe.evaluation, iw_samples=1)), features)[1].metrics
    assert "nll_nats" in metrics and "bits_per_dim" not in metrics


def test_a_model_without_one_is_measured_without_it(features):
    recipe = tiny_recipe(Evae())
    metrics = measured(replace(recipe, evaluation=replace(recipe.evaluation, iw_samples=1)), features)[1].metrics
    assert not {name for name in metrics if "nll" in name or "bits" in name}
