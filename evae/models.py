"""The model: encoder, posterior and decoder, and the loss as named terms."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evae.criteria import Criterion, Seen
from evae.densities import Fitted
from evae.errors import UserError, unknown
from evae.global_seed import global_seed
from evae.likelihoods import Bernoulli, Likelihood
from evae.networks.base import Network
from evae.posteriors.base import Posterior, Recent
from evae.priors import Prior
from evae.ranks import Ranks, Share
from evae.shapes import Codes, Dial, Heads, Images
from evae.signals import visible
from evae.sizes import ImageSize


class VAE(nn.Module):
    """An encoder and a decoder around a posterior and a likelihood family.

    The posterior's and the likelihood's mathematics run in float32, also under autocast. `densities` are those fitted
    to the codes of the trained model, by family; they are kept with its weights. `learned` is what the posterior learns
    beside the encoder, and `learned_likelihood` what the likelihood does beside the decoder, if anything. `code_shape`
    is that of an image's code (`Network.code_shape`): codes are vectors (n, latent) everywhere, and
    `codes.unflatten(1, code_shape)` are their maps, where they are such. Where the data's `kind` is "signals", what is
    decoded is shown as images (`evae.signals`); where it is "points", which may be any numbers, it is not kept within
    [0, 1]. With `importance_samples` training descends on the importance-weighted bound of so many codes an image in
    the place of the ELBO.
    """

    def __init__(
        self,
        posterior: Posterior,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        code_shape: tuple[int, ...],
        likelihood: Likelihood | None = None,
        prior: nn.Module | None = None,
        criteria: Sequence[Criterion] = (),
        kind: str = "images",
        importance_samples: int = 0,
    ) -> None:
        super().__init__()
        self.kind, self.importance_samples = kind, importance_samples
        self.encoder = encoder
        self.decoder = decoder
        self.code_shape = code_shape
        self.prior = prior
        self.criteria = tuple(criteria)
        self.learned = posterior.build(self.latent)
        self.posterior = posterior if self.learned is None else posterior.with_learned(self.learned)
        likelihood = likelihood or Bernoulli()
        self.learned_likelihood = likelihood.build()
        self.likelihood = (
            likelihood if self.learned_likelihood is None else likelihood.with_learned(self.learned_likelihood)
        )
        self.densities: dict[str, Fitted] = {}

    @property
    def latent(self) -> int:
        """How many numbers a code has."""
        return math.prod(self.code_shape)

    @property
    def rate_is(self) -> str:
        """What the rate is: as the posterior says, or with a prior in the place of its own "estimated"."""
        return self.posterior.rate_is if self.prior is None else "estimated"

    @property
    def has_elbo(self) -> bool:
        """Whether -(distortion + rate) is a lower bound of the log likelihood, or an unbiased estimate of one."""
        return self.rate_is in ("exact", "estimated") and self.likelihood.has_elbo

    @property
    def has_log_likelihood(self) -> bool:
        """Whether the log likelihood of images can be bounded by importance sampling (`evae.evaluation.evidence`)."""
        return self.likelihood.has_elbo and self.posterior.has_density(own_prior=self.prior is None)

    def forward(
        self,
        x: Images,
        generator: torch.Generator,
        share: Share | None = None,
        recent: Recent | None = None,
        judge: Callable[[Tensor], Tensor] | None = None,
        beta_factor: Dial = 1.0,
        progress: Dial | None = None,
    ) -> dict[str, Float[Tensor, ""]]:
        """The loss and its terms, in nats per image, averaged over the batch.

        Where `x` is a `share` of a batch, it is given the noise that it would have in the whole. `recent` is what a
        posterior with a memory remembers of earlier batches. A `judge` of the reconstructed images, which may leave
        [0, 1] where the likelihood's mean can, adds the term `adversarial`, which the loss does not contain. A step of
        training gives its `progress`: a posterior may train on other draws than it is measured on
        (`Posterior.training_sample`).

        `distortion` is the likelihood's, if it has one, `rate` the posterior's rate summed over latents; a posterior
        may have terms of its own. Criteria are terms by their names, and the decoder's decay is `decoder_l2`. `loss` is
        the distortion and the others with their `weights`; the posterior's are less while they are warmed up, by the
        `beta_factor`. `elbo` = -(distortion + rate) is there only where the rate is the KL divergence, exact or
        estimated, and the distortion a whole log likelihood; elsewhere that sum bounds nothing.

        A step of training with `importance_samples` (Burda et al., arXiv 1509.00519, eq. 8) has distortion and rate as
        means over its codes, of which criteria and judge see the first; in the place of their weighted sum the loss has
        what their weights make of them, and `iwae` is the bound itself.
        """
        share = share or Ranks().share(len(x))
        heads = self.encode(x)
        draw = self.posterior.sample
        if progress is not None:
            draw = partial(self.posterior.training_sample, progress=progress)
        copies = self.importance_samples if progress is not None else 0
        draws = [share.sample(draw, heads, generator) for _ in range(max(1, copies))]
        codes = draws[0]
        decoded = self.decoder(torch.cat(draws) if copies else codes).float()
        outputs = decoded[: len(codes)]
        distortion = self.likelihood.distortion(outputs, x)
        terms = {"distortion": distortion} if self.likelihood.has_distortion else {}
        terms |= self.posterior.terms(heads, share, recent)
        if progress is not None and self.posterior.trains_on_expectation:
            distortion = terms["distortion"] = distortion + self._spread(heads)
        if self.prior is not None:
            terms["rate"] = self.estimated_rates(heads, codes).mean()
        if self.posterior.decoder_decay:
            terms["decoder_l2"] = 0.5 * torch.stack([p.square().sum() for p in self.decoder.parameters()]).sum()
        if self.criteria:
            drawn = self.sample_prior(share.whole, generator, codes.shape[1])
            seen = Seen(x, self.likelihood.images(outputs), heads, codes, drawn, share)
            terms |= {criterion.family: criterion.term(seen) for criterion in self.criteria}
        weights = self.weights(beta_factor, outputs)
        if copies:
            costs = self.likelihood.distortions(decoded, x.repeat(copies, 1, 1, 1)).view(copies, -1)
            rates = torch.stack([self.estimated_rates(heads, each) for each in draws])
            terms |= {"distortion": costs.mean(), "rate": rates.mean(), "iwae": _log_mean(-costs - rates)}
            distortion = -_log_mean(-costs - weights.pop("rate") * rates)
        terms["loss"] = distortion + sum(weight * terms[name] for name, weight in weights.items())
        if self.has_elbo:
            terms["elbo"] = -(terms["distortion"] + terms["rate"])
        if judge is not None:
            terms["adversarial"] = judge(self.likelihood.images(outputs))
        return terms

    def compared(self, terms: Mapping[str, Tensor], like: Tensor) -> Float[Tensor, ""]:
        """The part of the loss that compares images with reconstructions: the distortion, and criteria of images."""
        weights = self.weights(1.0, like)
        parts = [weights[each.family] * terms[each.family] for each in self.criteria if each.of_images]
        return sum(parts, terms["distortion"] if "distortion" in terms else like.new_zeros(()))

    @property
    def last_weights(self) -> nn.Parameter:
        """Those of the decoder's last layer."""
        return [weights for weights in self.decoder.parameters() if weights.ndim > 1][-1]

    def weights(self, beta_factor: Dial, like: Tensor) -> dict[str, float | Float[Tensor, ""]]:
        """What each term but the distortion, which counts once, counts for in the loss: numbers, or where a term is
        divided by a scale that is learned, tensors on the device and of the type of `like`."""
        weights = {name: beta_factor * weight for name, weight in self.posterior.weights.items()}
        if decay := self.posterior.decoder_decay:
            weights["decoder_l2"] = decay
        for criterion in self.criteria:
            divisor = self.likelihood.error_scale(like) if criterion.scaled else 1
            weights[criterion.family] = criterion.weight / divisor
        return weights

    def _spread(self, heads: Heads) -> Float[Tensor, ""]:
        """What the codes' variances add to the squared error of their means, behind a linear decoder: the variance of
        each latent times the square of its picture's length (Vafaii et al., Poisson VAE, NeurIPS 2024)."""
        pictures = self.decoder(torch.eye(self.latent, device=heads.device)).float().flatten(1)
        return (self.posterior.std(heads).square() @ pictures.square().sum(1)).mean()

    def estimated_rates(self, heads: Heads, codes: Codes) -> Float[Tensor, " n"]:
        """ln q(z | x) - ln p(z) of each image's sampled code, in nats: on average the KL divergence from the prior.
        Raises UserError where a family does not offer a density."""
        own = self.prior is None
        prior = self.posterior.prior_log_density(codes).sum(1) if own else self.prior.log_density(codes)
        return self.posterior.log_density(heads, codes).sum(1) - prior

    def encode(self, x: Images) -> Heads:
        """The numbers that describe each image's posterior."""
        return self.encoder(x).float()

    def decode(self, z: Codes) -> Images:
        """Mean images in [0, 1], or mean points."""
        return self.means(self.decoder(z).float())

    def means(self, outputs: Images) -> Images:
        """What the decoder's outputs mean: images in [0, 1], or points."""
        means = self.likelihood.images(outputs)
        return means.clamp(0, 1) if self.kind == "images" else self.looked_at(means)

    def looked_at(self, x: Images) -> Images:
        """Data as they are shown and measured as images: of signals, images in [0, 1]."""
        return visible(x) if self.kind == "signals" else x

    def reconstruct(self, x: Images, generator: torch.Generator | None = None) -> Images:
        """Images in [0, 1] decoded from the posterior's mean, or with a generator from a sampled code."""
        heads = self.encode(x)
        if generator is None:
            return self.decode(self.posterior.mean(heads))
        return self.decode(self.posterior.sample(heads, generator))

    def sample(self, n: int, generator: torch.Generator, density: str | None = None) -> Images:
        """New images in [0, 1]: mean images of n draws from the prior, made on the generator's device; or of a fitted
        density, for which the generator is one of the CPU. Raises UserError where there is no such density."""
        codes = self.sample_prior(n, generator) if density is None else self.sample_density(density, n, generator)
        return self.decode(codes)

    def sample_prior(self, n: int, generator: torch.Generator, latent: int | None = None) -> Codes:
        """n draws from the prior, on the generator's device; of a posterior's own, of so many latents (default: as many
        as the model's images have)."""
        if self.prior is not None:
            return self.prior.sample(n, generator).detach()
        return self.posterior.sample_prior(n, latent or self.latent, generator, generator.device)

    def sample_density(self, density: str, n: int, generator: torch.Generator) -> Codes:
        """n draws, with a generator of the CPU, from the fitted density of this family."""
        if not self.densities:
            raise UserError("this model has no fitted densities: sample from its prior, or fit one to its codes.")
        if density not in self.densities:
            raise unknown("density of this model", density, self.densities)
        return self.densities[density].sample(n, generator).to(next(self.parameters()).device)


def _log_mean(logs: Float[Tensor, "k n"]) -> Float[Tensor, ""]:
    """The logarithm of each column's mean, averaged."""
    return (logs.logsumexp(0) - math.log(len(logs))).mean()


def build_model(
    posterior: Posterior,
    network: Network,
    image_size: ImageSize,
    channels: int,
    latent: int,
    *,
    seed: int,
    likelihood: Likelihood | None = None,
    prior: Prior | None = None,
    criteria: Sequence[Criterion] = (),
    kind: str = "images",
    importance_samples: int = 0,
) -> VAE:
    """The model with freshly initialised weights on the CPU; the same seed gives the same weights. The likelihood is
    Bernoulli's by default, and the prior that of the posterior's family. `latent` counts a code's numbers, or of code
    maps the channels.

    Raises `UserError` where the network family does not support the image or latent size.
    """
    shape = network.code_shape(image_size, latent)
    with global_seed(seed):
        encoder, decoder = network.build(image_size, channels, latent, posterior.heads)
        density = None if prior is None else prior.build(math.prod(shape))
        parts = {"likelihood": likelihood, "prior": density, "criteria": criteria, "kind": kind}
        parts["importance_samples"] = importance_samples
        vae = VAE(posterior, encoder, decoder, code_shape=shape, **parts)
    # The layout that convolution libraries compute in: on a CPU, up to a seventh less time.
    return vae.to(memory_format=torch.channels_last)
