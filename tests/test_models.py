"""The model: what its loss terms mean, and that they can be learned."""

import math

import pytest
import torch
from torch import nn

from evae.models import VAE, build_model
from evae.networks import Conv
from evae.posteriors import Autoencoder, Evae, Gaussian, KernelKL, Mixture, Posterior

POSTERIORS = [Autoencoder(), Gaussian(beta=0.3), Evae(beta=2.0), KernelKL(), KernelKL(prior="uniform"), Mixture()]
LATENT = 6
every_posterior = pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda p: p.family)


def detached(terms: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach() for name, value in terms.items()}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(posterior: Posterior, seed: int = 0, channels: int = 1) -> VAE:
    return build_model(posterior, Conv(width=0.125), 32, channels, LATENT, seed=seed)


def images(n: int = 8, channels: int = 1) -> torch.Tensor:
    return torch.rand(n, channels, 32, 32, generator=generator(1))


@every_posterior
def test_terms_are_nats_per_image_summed_over_pixels_and_latents(posterior):
    vae, x = model(posterior, channels=3).eval(), images(channels=3)
    terms = vae(x, generator())
    # Image by image: the log likelihood of every pixel from torch's own Bernoulli, through the same codes.
    heads = vae.encode(x)
    logits = vae.decoder(posterior.sample(heads, generator()))
    log_likelihood = torch.distributions.ContinuousBernoulli(logits=logits)
    log_likelihood = log_likelihood.log_prob(x) - log_likelihood._cont_bern_log_norm()
    torch.testing.assert_close(terms["distortion"], -log_likelihood.flatten(1).sum(1).mean())
    assert ("rate" in terms) == (posterior.rate_is != "none")
    if "rate" in terms:
        torch.testing.assert_close(terms["rate"], posterior.rate(heads).sum(1).mean())
    weighted = sum(weight * terms[name] for name, weight in posterior.weights.items())
    torch.testing.assert_close(terms["loss"], terms["distortion"] + weighted)


def test_an_undecided_decoder_costs_ln_2_for_every_pixel():
    class Undecided(nn.Module):
        def forward(self, z):
            return torch.zeros(len(z), 1, 32, 32)

    vae = VAE(Gaussian(), model(Gaussian()).encoder, Undecided(), code_shape=(LATENT,))
    assert float(detached(vae(images(), generator()))["distortion"]) == pytest.approx(32 * 32 * math.log(2), rel=1e-5)


@every_posterior
def test_only_an_exact_rate_makes_an_elbo(posterior):
    terms = detached(model(posterior)(images(), generator()))
    assert ("elbo" in terms) == (posterior.rate_is == "exact")
    if "elbo" in terms:
        assert float(terms["elbo"]) == pytest.approx(-float(terms["distortion"]) - float(terms["rate"]))


@every_posterior
def test_terms_are_means_over_the_batch(posterior):
    vae, x = model(posterior).eval(), images(4)
    once, thrice = (vae(batch, generator()) for batch in (x, x.repeat(3, 1, 1, 1)))
    # Other noise, so the distortion agrees only on average, and in full where codes carry none.
    name = "distortion" if posterior.rate_is == "none" else "rate"
    torch.testing.assert_close(once[name], thrice[name])


@every_posterior
def test_same_seed_same_weights(posterior):
    one, two, other = (model(posterior, seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_building_a_model_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    model(Gaussian())
    assert torch.equal(torch.rand(4), expected)


@every_posterior
def test_every_weight_gets_a_gradient(posterior):
    vae = model(posterior)
    vae(images(), generator())["loss"].backward()
    # The bias of a convolution before a batch normalisation has a gradient too: zero up to rounding.
    assert all(parameter.grad is not None for parameter in vae.parameters())
    weights = [p for p in vae.parameters() if p.ndim > 1]
    assert all(p.grad.count_nonzero() > 0 for p in weights)


@every_posterior
def test_terms_are_single_precision_under_autocast(posterior):
    vae, x = model(posterior).eval(), images()
    exact = detached(vae(x, generator()))
    with torch.autocast("cpu", torch.bfloat16):
        terms = detached(vae(x, generator()))
        assert vae.encode(x).dtype == vae.reconstruct(x).dtype == torch.float32
    for name, value in terms.items():
        assert value.dtype == torch.float32
        assert float(value) == pytest.approx(float(exact[name]), rel=0.02)


@every_posterior
def test_reconstructions_decode_the_mean_or_a_sample(posterior):
    vae, x = model(posterior).eval(), images()
    assert torch.equal(vae.reconstruct(x), vae.decode(posterior.mean(vae.encode(x))))
    sampled = vae.reconstruct(x, generator())
    assert torch.equal(sampled, vae.reconstruct(x, generator()))
    assert torch.equal(sampled, vae.reconstruct(x)) == (posterior.rate_is == "none")


@every_posterior
def test_samples_are_images(posterior):
    vae = model(posterior, channels=3).eval()
    new = vae.sample(5, generator())
    assert new.shape == (5, 3, 32, 32)
    assert 0 <= new.min() < new.max() <= 1
    assert torch.equal(new, vae.sample(5, generator()))


@every_posterior
def test_a_batch_can_be_learned(posterior):
    """Forty steps on two patterns: the distortion falls well below the best that a single image can do."""
    patterns = torch.zeros(2, 1, 32, 32)
    patterns[0, :, :16], patterns[1, :, :, :16] = 1, 1
    x = patterns.repeat(8, 1, 1, 1)
    one_image = 32 * 32 * math.log(2) / 2  # the patterns differ in half of the pixels
    vae, noise = model(posterior), generator()
    optimiser = torch.optim.Adam(vae.parameters(), 1e-2)
    for _ in range(40):
        terms = vae(x, noise)
        optimiser.zero_grad()
        terms["loss"].backward()
        optimiser.step()
    assert float(terms["distortion"].detach()) < 0.3 * one_image


@pytest.mark.gpu
@every_posterior
def test_terms_on_a_gpu_are_those_of_the_cpu(posterior):
    vae, x = model(posterior).eval(), images(256)
    on_cpu = vae(x, generator())
    on_gpu = vae.cuda()(x.cuda(), torch.Generator("cuda").manual_seed(0))
    assert on_gpu.keys() == on_cpu.keys()
    # Other noise, so only the deterministic rate agrees to rounding; the distortion does on average.
    if "rate" in on_cpu:
        torch.testing.assert_close(on_gpu["rate"].cpu(), on_cpu["rate"], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(on_gpu["distortion"].cpu(), on_cpu["distortion"], rtol=1e-2, atol=0)
    assert vae.sample(3, torch.Generator("cuda")).device.type == "cuda"
