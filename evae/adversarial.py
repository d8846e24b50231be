"""Adversarial training, as a recipe says it: a discriminator that tells images from reconstructions.

Rivera, "How to train your VAE" (arXiv 2309.13160), after the paper's official code, whose constants are the defaults.
How a discriminator trains is in `evae.adversary`.
"""

import sys
from dataclasses import dataclass, field, replace

from evae.errors import UserError, unknown
from evae.networks.discriminator import Discriminator
from evae.networks.patchgan import PatchGan
from evae.registry import LATER

LOSSES = ("logistic", "hinge")
WEIGHTINGS = ("constant", "per_number", "adaptive")
LARGEST_WEIGHT = 1e9
"""Beyond, the VAE's own gradient is lost in rounding; and far beyond, Adam's mean squared gradient overflows, so that
the VAE stands still without a sign."""


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """A discriminator and how it takes part.

    The VAE's loss is given `weight` times the adversarial loss of its reconstructions from epoch `start_epoch` on,
    counted from 1, at first less: over `warm_up_epochs` the weight rises in equal steps, and is whole in the epoch
    after them. The discriminator learns from the same epoch on, one step for each of the VAE's. Both losses are means
    over an image's patches, of logits d: "logistic" is the adversarial ln(1 + e^-d), and for the discriminator that of
    images and ln(1 + e^d) of reconstructions; "hinge" is -d, and for the discriminator max(0, 1 - d) and max(0, 1 + d).

    The `weighting` is "constant", `weight` times the mean over patches; "per_number", which is that times the numbers
    (channels * height * width) of an image, the normalisation of criteria of images (`evae.criteria.images`): then the
    balance to errors does not hang on the images' size, and weights beside losses that are means over pixels are these;
    or "adaptive", `weight` times the ratio of gradients at the decoder's last weights, of all that compares images
    (distortion and criteria) over that of the adversarial loss plus 1e-4, at most 10^4 (Esser et al., VQGAN, arXiv
    2012.09841, eq. 7, and its official code). Of several outputs of a discriminator the losses are added.

    With `start_step` the discriminator takes part only after so many of the training's steps: 50,000 in kl-f8.

    Optimiser, schedule, weight decay and clipping are the VAE's (`evae.optimisation`), learning rate and beta1 its own.

    Raises UserError for values outside their range.
    """

    discriminator: Discriminator = field(default_factory=PatchGan)
    weight: float = 100.0
    loss: str = "logistic"
    start_epoch: int = 1
    warm_up_epochs: int = 0
    learning_rate: float = 1e-4
    beta1: float = 0.5
    weighting: str = field(default="constant", metadata=LATER)
    start_step: int = field(default=0, metadata=LATER)

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise unknown("adversarial loss", self.loss, LOSSES)
        if self.weighting not in WEIGHTINGS:
            raise unknown("weighting of the adversarial loss", self.weighting, WEIGHTINGS)
        for name, most in {"weight": LARGEST_WEIGHT, "learning_rate": sys.float_info.max}.items():
            if not 0 < getattr(self, name) <= most:
                raise UserError(
                    f"the discriminator's {name} must be above 0 and at most {most:g}, got {getattr(self, name)}"
                )
        for name, least in {"start_epoch": 1, "warm_up_epochs": 0, "start_step": 0}.items():
            if getattr(self, name) < least:
                raise UserError(f"the discriminator's {name} must be at least {least}, got {getattr(self, name)}")
        if not 0 <= self.beta1 < 1:
            raise UserError(f"the discriminator's beta1 must be at least 0 and below 1, got {self.beta1}")

    def weight_in(self, epoch: int) -> float:
        """What the adversarial loss counts for in an epoch, counted from 1; 0 before the start."""
        return self.weight * min(1.0, max(0, epoch - self.start_epoch + 1) / (self.warm_up_epochs + 1))

    def at_once(self) -> "Adversarial":
        """The same from the first step on, with its whole weight."""
        return replace(self, start_epoch=1, start_step=0, warm_up_epochs=0)
