"""Criteria that compare images with their reconstructions, in one normalisation.

A term is summed over an image's numbers (channels * height * width) as nats are, and averaged over images: it is their
count times a mean over the image, of pixels in [-1, 1]. So terms keep their balance, among themselves and to the
likelihood's nats, where the image size changes; the rate does not grow with the image, and its share falls.

What that makes of published weights, with N numbers in an image:

- kl-f8 (Rombach et al., arXiv 2112.10752, official code) sums in the same way: its weights are these. Absolute errors
  count 1, the perceptual distance 1, the KL divergence (summed over latents) 1e-6, and both of the first are divided by
  a learned e^s: the likelihood `scaled_laplace`, and `scaled` for the perceptual criterion.
- Losses that are means over an image's numbers (LiteVAE, Sadat et al., arXiv 2405.14477, does not give its weights):
  weights of criteria are these; that of a KL divergence summed over latents becomes N times as much, of one that is
  averaged over latents N / latents times, and that of an adversarial loss N times (`Adversarial.weighting`).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from evae.criteria.base import Criterion, Seen
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from jaxtyping import Float

    from evae.shapes import Images


@dataclass(frozen=True, kw_only=True)
class ImageCriterion(Criterion):
    """With `scaled` the term is divided by the scale of the likelihood, as kl-f8's perceptual term is by its e^s
    (`Likelihood.error_scale`): a recipe's likelihood must then have one."""

    of_images: ClassVar[bool] = True

    scaled: bool = False

    @abstractmethod
    def means(self, x: Images, made: Images) -> Float[torch.Tensor, " n"]:
        """What each image costs, as a mean over its numbers: of images and reconstructions with pixels in [-1, 1]."""

    def term(self, seen: Seen) -> Float[torch.Tensor, ""]:
        with torch.autocast(seen.x.device.type, enabled=False):
            means = self.means(2 * seen.x - 1, 2 * seen.made.float() - 1)
        return means.mean() * seen.x[0].numel()
