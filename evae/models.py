"""The model: encoder, posterior and decoder, and the loss as named terms."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from evae.networks.base import Network
from evae.posteriors.base import Posterior
from evae.ranks import Share

Images = Float[Tensor, "n channels height width"]
Heads = Float[Tensor, "n heads_latent"]
Codes = Float[Tensor, "n latent"]


class VAE(nn.Module):
    """An encoder and a decoder around a posterior family, with the Bernoulli likelihood of images in [0, 1].

    The posterior's and the likelihood's mathematics run in float32, also under autocast.
    """

    def __init__(self, posterior: Posterior, encoder: nn.Module, decoder: nn.Module, *, latent: int) -> None:
        super().__init__()
        self.posterior = posterior
        self.encoder = encoder
        self.decoder = decoder
        self.latent = latent

    def forward(
        self, x: Images, generator: torch.Generator, share: Share | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """The loss and its terms, in nats per image, averaged over the batch.

        Where `x` is a `share` of a batch, it is given the noise that it would have in the whole.

        `distortion` is the binary cross-entropy summed over pixels and channels, `rate` the posterior's rate
        summed over latents, `loss` = distortion + beta * rate. `elbo` = -(distortion + rate) is there only
        where the rate is the exact KL divergence; elsewhere that sum bounds nothing.
        """
        heads = self.encode(x)
        if share is None:
            codes = self.posterior.sample(heads, generator)
        else:
            codes = share.sample(self.posterior, heads, generator)
        logits = self.decoder(codes).float()
        # One division, here: a mean over pixels or latents would silently change what beta means.
        distortion = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        rate = self.posterior.rate(heads).sum() / len(x)
        terms = {"distortion": distortion, "rate": rate, "loss": distortion + self.posterior.beta * rate}
        if self.posterior.rate_is == "exact":
            terms["elbo"] = -(distortion + rate)
        return terms

    def encode(self, x: Images) -> Heads:
        """The numbers that describe each image's posterior."""
        return self.encoder(x).float()

    def decode(self, z: Codes) -> Images:
        """Mean images in [0, 1]."""
        return torch.sigmoid(self.decoder(z).float())

    def reconstruct(self, x: Images, generator: torch.Generator | None = None) -> Images:
        """Images in [0, 1] decoded from the posterior's mean, or with a generator from a sampled code."""
        heads = self.encode(x)
        if generator is None:
            return self.decode(self.posterior.mean(heads))
        return self.decode(self.posterior.sample(heads, generator))

    def sample(self, n: int, generator: torch.Generator) -> Images:
        """New images in [0, 1]: mean images of n draws from the prior, made on the generator's device."""
        return self.decode(self.posterior.sample_prior(n, self.latent, generator, generator.device))


def build_model(
    posterior: Posterior, network: Network, image_size: int, channels: int, latent: int, *, seed: int
) -> VAE:
    """The model with freshly initialised weights on the CPU; the same seed gives the same weights.

    Raises `UserError` where the network family does not support the image or latent size.
    """
    # torch's own initialisers draw from the global generator; only the CPU's is seeded, and afterwards put
    # back.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        encoder, decoder = network.build(image_size, channels, latent, posterior.heads)
    # The layout that convolution libraries compute in: on a CPU, up to a seventh less time.
    return VAE(posterior, encoder, decoder, latent=latent).to(memory_format=torch.channels_last)
