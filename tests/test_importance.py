"""The importance-weighted bound as a loss."""

from dataclasses import replace

import pytest
import torch
from test_points_measured import exact, linear
from tiny import tiny_images, tiny_recipe
from torch import Tensor

from evae.checkpoints import dump_training, restore_training
from evae.errors import UserError
from evae.evaluation.evidence import log_likelihood
from evae.likelihoods import Laplace
from evae.models import VAE
from evae.posteriors import RAE, Autoencoder, Evae, Gaussian, KernelKL, Mixture, Poisson
from evae.ranks import Ranks
from evae.recipe import Recipe
from evae.training import Training

SLOPES, SCALE = [[1.0], [-0.5]], 0.4
X = torch.randn(30, 2, 1, 1, generator=torch.Generator().manual_seed(3))


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(samples: int, beta: float = 1.0) -> VAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        found = linear(SLOPES, SCALE, Gaussian(beta=beta))
    found.importance_samples = samples
    return found


def terms(vae: VAE, seed: int = 0, **given: float) -> dict[str, Tensor]:
    return vae(X, drawn(seed), progress=0.0, **given)


def test_one_sample_is_the_usual_loss_with_a_sampled_rate():
    vae = model(1, beta=0.3)
    plain, found = terms(model(0, beta=0.3)), terms(vae)
    heads = vae.encode(X)
    rate = vae.estimated_rates(heads, Ranks().share(len(X)).sample(vae.posterior.sample, heads, drawn())).mean()
    torch.testing.assert_close(found["distortion"], plain["distortion"])
    torch.testing.assert_close(found["rate"], rate)
    torch.testing.assert_close(found["loss"], plain["distortion"] + 0.3 * rate)
    torch.testing.assert_close(found["iwae"], found["elbo"])


@torch.no_grad()
def test_more_samples_tighten_the_bound_and_none_exceeds_the_likelihood():
    means = {k: torch.stack([terms(model(k), seed)["iwae"] for seed in range(40)]).mean() for k in (1, 5, 50)}
    truth = exact(SLOPES, SCALE, X).mean()
    assert means[1] + 0.1 < means[5] and means[5] < means[50] < truth + 0.05


@torch.no_grad()
def test_it_is_the_bound_that_evaluations_measure():
    vae = model(7)
    torch.testing.assert_close(terms(vae)["iwae"], log_likelihood(vae, X, 7, drawn()).mean())


def test_the_gradient_weighs_each_sample_by_its_importance():
    """Burda et al., eq. 14: the gradients of the samples' log weights, with normalised weights."""
    vae, beta, k = model(4, beta=0.7), 0.7, 4
    parameters = list(vae.parameters())
    found = torch.autograd.grad(terms(vae)["loss"], parameters, allow_unused=True)
    heads, noise, share = vae.encode(X), drawn(), Ranks().share(len(X))
    draws = [share.sample(vae.posterior.sample, heads, noise) for _ in range(k)]
    logs = torch.stack(
        [-vae.likelihood.distortions(vae.decoder(z), X) - beta * vae.estimated_rates(heads, z) for z in draws]
    )
    weighted = -(torch.softmax(logs.detach(), 0) * logs).sum(0).mean()
    for one, other in zip(found, torch.autograd.grad(weighted, parameters), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_warm_up_weighs_the_rate_and_validation_knows_the_elbo_alone():
    warm = terms(model(5), beta_factor=0.0)
    assert warm["loss"] < warm["distortion"] + 1e-6
    assert "iwae" not in model(5)(X, drawn())


@pytest.mark.parametrize("posterior", [Gaussian(), KernelKL()], ids=lambda p: p.family)
def test_a_training_on_images_goes_on_where_it_stopped(posterior):
    recipe = replace(tiny_recipe(posterior), importance_samples=3)
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    whole, resumed = Training(recipe, tiny_images()), Training(recipe, tiny_images())
    first = whole.train_epoch()
    assert first["decoder_passes"] == 3 * 24 and first["train_iwae_nats"] >= first["train_elbo_nats"]
    restore_training(resumed, dump_training(whole))
    clocks = ("train_s", "images_per_s")
    one, other = ({n: v for n, v in each.train_epoch().items() if n not in clocks} for each in (whole, resumed))
    assert one == other


@pytest.mark.parametrize("posterior", [Autoencoder(), RAE(), Evae(), Mixture(), Poisson()], ids=lambda p: p.family)
def test_posteriors_that_cannot_be_weighted_are_refused(posterior):
    with pytest.raises(UserError, match=f"{posterior.family} posterior .*leave importance_samples out"):
        replace(tiny_recipe(posterior), importance_samples=5)


def test_what_is_no_whole_likelihood_and_no_number_are_refused():
    with pytest.raises(UserError, match="laplace likelihood is no whole log likelihood"):
        replace(tiny_recipe(), importance_samples=5, likelihood=Laplace())
    with pytest.raises(UserError, match="at least 0, got -1"):
        replace(tiny_recipe(), importance_samples=-1)
