"""Black and white pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import TYPE_CHECKING, F, torch
from evae.likelihoods.base import Likelihood, likelihood

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Images


@likelihood
@dataclass(frozen=True, kw_only=True)
class Bernoulli(Likelihood):
    """Every pixel a Bernoulli variable with the output as its logit (Kingma & Welling, arXiv 1312.6114, appendix C).

    Grey values in between are taken for its expectation, as everywhere in the field: of other than black and white
    images, what is called their log likelihood is minus a cross-entropy, and no probability of them.
    """

    family: ClassVar[str] = "bernoulli"
    has_elbo: ClassVar[bool] = True

    def distortion(self, outputs: Images, x: Images) -> Float[Tensor, ""]:
        # One division, here: a mean over pixels or latents would silently change what beta means.
        return F.binary_cross_entropy_with_logits(outputs, x, reduction="sum") / len(x)

    def images(self, outputs: Images) -> Images:
        return torch.sigmoid(outputs)

    def expected_distortions(self, outputs: Images, mean: Images, variance: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return self.distortions(outputs, mean)  # linear in the data
