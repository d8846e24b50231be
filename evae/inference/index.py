"""What inference by weights over training points has in common: a decoder's regression, and an encoder fitted to W."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from evae.errors import UserError, unknown
from evae.hardware import threads_of_torch
from evae.inference.base import Course, Inference, Step
from evae.inference.bound import bound, log_likelihood
from evae.inference.codes import ORDERS, candidates
from evae.inference.neighbours import nearest
from evae.inference.weights import kernel_weights, targets
from evae.inference.widths import RULES, Comparing
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from evae.inference.neighbours import Neighbours
    from evae.inference.weights import Weights

FEWEST = 10
"""Training points below which nothing is put in order."""
DRAWN = 8
"""Codes that a step of the encoder draws from each point's weights."""
LEAST_SCALE = 1e-3
"""Of the width: a decoder that meets every point would make its likelihood infinite."""
CHUNK, PAIRS = 500, 10**7
"""Points decoded at once, and numbers compared at once."""
MEASURED, NUMBERS = 2000, 10**9
"""Of how many points the bound is measured at the end, and how many numbers that may compare."""


@dataclass(frozen=True, kw_only=True)
class IndexInference(Inference):
    """Inference by a row-stochastic matrix W over training points, without an encoder: its hyperparameters.

    `width_rule` says how the width of the kernel weights is found: "given" as `width`, by "validation", or
    "self_consistent" (`evae.inference.widths`). `codes` is the order of `evae.inference.codes.ORDERS` that they follow,
    or "best" for that of the highest bound. Each point has weights for its nearest `neighbours`, by default for all of
    up to 2,000 points and 256 of more.

    Raises UserError for what does not go together.
    """

    title: ClassVar[str]
    """What messages call it."""

    width_rule: str = "self_consistent"
    width: float | None = None
    codes: str = "best"
    neighbours: int | None = None

    def __post_init__(self) -> None:
        if self.width_rule not in RULES:
            raise unknown("width_rule", self.width_rule, RULES)
        if self.width_rule == "given" and (self.width is None or not 0 < self.width < math.inf):
            raise UserError(f"width_rule given needs a width above 0, got {self.width}: a guess of the data's noise.")
        if self.width_rule != "given" and self.width is not None:
            raise UserError(f"the width is found by {self.width_rule}: leave width out, or take width_rule given.")
        if self.neighbours is not None and self.neighbours < 2:
            raise UserError(f"neighbours must be at least 2, the point itself included, got {self.neighbours}.")
        if self.codes not in ("best", *ORDERS):
            raise unknown("order of codes", self.codes, ("best", *ORDERS))

    def check(self, recipe: Any, processes: int = 1, train_images: int | None = None) -> None:
        """Raise UserError where another part needs an encoder's bound, or does not know a mean over data."""
        name = self.title
        if not (recipe.posterior.has_normal_prior and recipe.posterior.has_density(own_prior=True)):
            raise UserError(
                f"{name} puts codes where a standard normal prior has them, and fits an encoder's density to them "
                f"afterwards: take the posterior gaussian, not {recipe.posterior.family}, or inference amortised."
            )
        if not recipe.likelihood.knows_expectation:
            raise UserError(
                f"{name} teaches the decoder weighted means of the data, which the likelihood "
                f"{recipe.likelihood.family} cannot be trained on: take gaussian or bernoulli, or inference amortised."
            )
        if recipe.prior is not None or recipe.adversarial is not None or recipe.criteria:
            raise UserError(f"{name} trains without an encoder: leave prior, adversarial and criteria out.")
        if recipe.importance_samples:
            raise UserError(f"{name} trains without an encoder's samples: leave importance_samples out.")
        if recipe.optimisation.beta_warm_up_epochs or recipe.posterior.beta != 1:
            raise UserError(f"{name} trains without a rate: leave beta at 1, and beta_warm_up_epochs out.")
        if recipe.data.horizontal_flip:
            raise UserError(f"{name} has weights for the training images as they are: leave horizontal_flip out.")
        if self.codes != "best" and recipe.latent > 1:
            raise UserError(
                f"codes by the order {self.codes!r} are of one latent, and the recipe has {recipe.latent}: take best."
            )
        if processes > 1:
            raise UserError(f"{name} trains in one process: give workers_per_trial 1, and more trials at once.")
        if train_images is not None and train_images < FEWEST:
            raise UserError(
                f"{name} puts training points in order, and there are {train_images}: give at least {FEWEST}, or take "
                "inference amortised."
            )


class IndexCourse(Course):
    """Training points' weights W and codes, fixed before the first step. The decoder learns to make of each code the
    mean of the points that W gives it to, and the encoder to find the codes that W gives a point.

    Both learn in the same steps, each from W alone: they share neither parameters nor a loss, so that it is as if one
    were trained after the other.
    """

    inference: IndexInference
    codes: Tensor | None = None
    weights: Weights | None = None
    near: Neighbours | None = None

    def start_epoch(self, epoch: int) -> None:
        if self.weights is None:
            self._begin()
        if epoch == 1:
            self._solve()

    def terms(self, step: Step) -> dict[str, Tensor]:
        outputs = self.model.decoder(self.codes[step.index]).float()
        self.outputs[step.index] = outputs.detach()
        distortion = self._distortions(outputs, step.index).mean()
        encoder = self._encoder_loss(step)
        return {"distortion": distortion, "encoder": encoder, "loss": distortion + encoder}

    def end_epoch(self) -> dict[str, float]:
        """The likelihood's scale in closed form, for what the epoch's steps decoded, and the bound that this gives."""
        given = self.outputs, self.mean, self.variance, self.columns
        with torch.no_grad():
            self.model.likelihood.fit_expected(*given, least=LEAST_SCALE * self.width)
            distortion = float(self._distortions(self.outputs, slice(None)).mean())
        lower = self.entropy - distortion - math.log(len(self.train))
        return {"index_bound_nats": lower, "index_perplexity": math.exp(self.entropy)}

    def measured(self) -> dict[str, float | str]:
        """Of the model as it ended: the bound, its gap to the exact likelihood of the empirical model, and what was
        chosen before training. Of many points, the first; of fewer the more numbers they have."""
        if self.weights is None:
            return {}
        with torch.no_grad():
            decoded = self._decoded()
            rows = slice(0, max(10, min(MEASURED, len(decoded), NUMBERS // decoded.numel())))
            weights = self.weights.part(rows)
            every = torch.arange(len(decoded)).expand(len(weights.index), -1).numpy()
            lower = bound(weights, self._log_likelihoods(decoded, rows, weights.index), len(decoded)).mean()
            exact = log_likelihood(self._log_likelihoods(decoded, rows, every)).mean()
        return {
            "index_bound_nats": float(lower),
            "index_gap_nats": float(exact - lower),
            "index_perplexity": math.exp(self.entropy),
            "index_width": self.width,
            "index_order": self.order,
        }

    def state(self) -> dict[str, Tensor]:
        if self.codes is None:
            return {}
        order = torch.tensor(list(self.order.encode()), dtype=torch.uint8)
        return {"codes": self.codes, "width": torch.tensor(self.width, dtype=torch.float64), "order": order}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        shape = (len(self.train), self.model.latent)
        if set(state) != {"codes", "width", "order"} or state["codes"].shape != shape:
            raise UserError("not a checkpoint of evae, or a damaged one: the codes of training points do not fit")
        self.codes = state["codes"].to(self.train[torch.arange(1)].device)
        self.width, self.order = float(state["width"]), bytes(state["order"].tolist()).decode()

    def _begin(self) -> None:
        """What is known before training: neighbours, codes, width and order, from the points alone; and the kernel's
        weights. Of a training that goes on, codes and width are kept: on another processor they could be others."""
        asked = self.inference
        self.x, validation = flat(self.train), flat(self.validation)
        with threads_of_torch():
            self.near = nearest(self.x, asked.neighbours)
            if self.codes is None:
                orders = candidates(self.x, self.model.latent, asked.codes)
                comparing = Comparing.of(self.x, validation, asked.neighbours)
                chosen = comparing.choose(orders, asked.width_rule, asked.width)
                self.width, self.order = chosen.width, chosen.order
                like = self.train[torch.arange(1)]
                self.codes = torch.from_numpy(orders[chosen.order]).to(like)
            self._take(kernel_weights(self.near, self.width))

    def _take(self, weights: Weights) -> None:
        """Have these weights from now on."""
        wanted, like = targets(weights, self.x), self.train[torch.arange(1)]
        self.weights, self.entropy = weights, float(weights.entropy.mean())
        self.index = torch.from_numpy(weights.index).to(like.device)
        self.shares = torch.from_numpy(weights.weight).to(like)
        self.mean = torch.from_numpy(wanted.mean).to(like).view(-1, *like.shape[1:])
        self.variance, self.columns = (torch.from_numpy(each).to(like) for each in (wanted.variance, wanted.weight))
        self.outputs = torch.zeros_like(self.mean)

    def _solve(self) -> None:
        """A decoder that knows its weighted regression in closed form takes it."""
        solve = getattr(self.model.decoder, "regress", None)
        if solve is not None:
            solve(self.codes, self.mean, self.columns)

    def _distortions(self, outputs: Tensor, index: Tensor | slice) -> Tensor:
        """What each of these codes adds to the mean over all points: sum over n of W_ni times the distortion of x_n."""
        mean, variance = self.mean[index], self.variance[index]
        return self.columns[index] * self.model.likelihood.expected_distortions(outputs, mean, variance)

    def _encoder_loss(self, step: Step) -> Tensor:
        """Minus the mean of ln q(z_i | x_n) over some i drawn from W_n, in nats, of the batch's points n."""
        rows, posterior = step.index, self.model.posterior
        drawn = torch.multinomial(self.shares[rows], DRAWN, replacement=True, generator=step.noise)
        codes = self.codes[self.index[rows].gather(1, drawn).flatten()]
        heads = self.model.encode(step.x).repeat_interleave(DRAWN, 0)
        return -posterior.log_density(heads, codes).sum(1).mean()

    def _decoded(self) -> Tensor:
        """What the decoder makes of all codes, (N, ...)."""
        self.model.eval()
        return torch.cat([self.model.decoder(codes).float() for codes in self.codes.split(CHUNK)])

    def _log_likelihoods(self, decoded: Tensor, rows: slice, index: np.ndarray) -> np.ndarray:
        """ln p(x_n | z_i) of the points n of `rows`, each with the i that its row of `index` (rows, k) names."""
        found, points = [], torch.arange(len(decoded))[rows]
        step = max(1, PAIRS // (index.shape[1] * decoded[0].numel()))
        for numbers, chosen in zip(points.split(step), torch.from_numpy(index).split(step), strict=True):
            x = self.train[numbers.to(decoded.device)].repeat_interleave(index.shape[1], 0)
            logs = -self.model.likelihood.distortions(decoded[chosen.flatten().to(decoded.device)], x)
            found.append(logs.view(len(numbers), -1).double().cpu())
        return torch.cat(found).numpy()


def flat(rows: Any) -> np.ndarray:
    """A split's points (N, d), float64."""
    parts = torch.arange(len(rows)).split(CHUNK)
    if not len(rows):
        return torch.zeros(0, 1).numpy()
    return torch.cat([rows[part].flatten(1).double().cpu() for part in parts]).numpy()
