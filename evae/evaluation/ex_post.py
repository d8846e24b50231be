"""The densities of a recipe, fitted to the codes of a trained model, and codes drawn from them."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from evae.densities import Density
from evae.errors import NotFitted
from evae.evaluation.codes import training_codes
from evae.metrics.names import density_side
from evae.training import Training, generator

FIT, SAMPLES = 600, 700
"""Random streams, beside those of an evaluation: of fits, and of samples from what is fitted."""


class ExPost:
    """`densities` fitted to sampled codes of the training images; those that can be are kept with the model.

    `codes` (n, latent) are what they are fitted to; `not_fitted` says by family why one could not be, and `about` by
    the side of its metrics (see `density_side`) what its samples depend on beside the model. Of the ranks of a training
    each fits, and all have what the first one drew: elsewhere, rounding may have led to another fit.
    """

    def __init__(self, training: Training, densities: Sequence[Density]):
        self.training = training
        self.codes = training_codes(training) if densities else torch.empty(0)
        self.not_fitted: dict[str, str] = {}
        self.about = {density_side(each.family): {"n_codes": len(self.codes), **each.settings} for each in densities}
        self._fitted = training.model.densities
        self._fitted.clear()
        about = training.model.code_shape, training.device
        for density in densities:
            try:
                self._fitted[density.family] = density.fit(self.codes, self._noise(FIT), *about)
            except NotFitted as error:
                self.not_fitted[density.family] = str(error)

    def draw(self, densities: Iterable[Density], n: int, stream: int) -> dict[str, Tensor]:
        """n codes (n, latent) of each density that is fitted, by the side of its metrics; others for another stream."""
        drawn = {density_side(each.family): self._draw(each.family, n, stream) for each in densities}
        return {side: codes for side, codes in drawn.items() if codes is not None}

    def held_out(self, families: Iterable[str], codes: Tensor) -> dict[str, float]:
        """How well each of these that is fitted explains codes (n, latent) of other images, by column."""
        fitted = {family: self._fitted[family] for family in families if family in self._fitted}
        return {
            f"{density_side(family)}_{name}": value
            for family, of in fitted.items()
            for name, value in of.held_out(codes.float()).items()
        }

    def _draw(self, family: str, n: int, stream: int) -> Tensor | None:
        codes = torch.full((n, self.training.model.latent), torch.nan)
        if family in self._fitted:
            try:
                codes = self._fitted[family].sample(n, self._noise(SAMPLES + stream))
            except NotFitted as error:
                self.not_fitted[family] = str(error)
        ranks = self.training.ranks
        codes = ranks.sum((codes if ranks.rank == 0 else torch.zeros_like(codes)).to(self.training.device))
        if codes.isnan().any():
            self._fitted.pop(family, None)
            self.not_fitted.setdefault(family, "the first of the trial's processes could not fit it")
            return None
        return codes

    def _noise(self, stream: int) -> torch.Generator:
        """The same for every trial of a study, whatever its seed."""
        return generator("cpu", self.training.recipe.evaluation.seed, 0, stream)
