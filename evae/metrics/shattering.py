"""How many ways to cut the classes in two halves a linear classifier finds in codes ("shattering dimensionality")."""

from __future__ import annotations

import itertools
import math

from evae.lazy import TYPE_CHECKING, F, torch
from evae.metrics.base import declare

if TYPE_CHECKING:
    from torch import Tensor

declare("shattering_accuracy", of="labels", direction="max")

MOST = 126
"""Cuts: all of ten classes. Of more there are some, always the same."""
ENUMERATED = 10_000
"""Ways to choose half of the classes, up to which all are listed; of more, few of those that are drawn are equal."""
PENALTY = 1.0
"""The inverse strength C of the squared penalty: scikit-learn's default, as in the paper."""
ITERATIONS = 200


def halves(classes: int, most: int = MOST) -> Tensor:
    """The ways to put half of the classes on one side and the others, one more if they are odd, on the other: +1 and -1
    (cuts, classes). All of them, each without its mirror image; or where they are more, so many that are drawn."""
    half, generator = classes // 2, torch.Generator().manual_seed(0)
    if math.comb(classes, half) <= ENUMERATED:
        found = [side for side in itertools.combinations(range(classes), half) if classes % 2 or 0 in side]
        if len(found) > most:
            found = [found[place] for place in torch.randperm(len(found), generator=generator)[:most].tolist()]
    else:
        found = [torch.randperm(classes, generator=generator)[:half].tolist() for _ in range(most)]
    cuts = torch.full((len(found), classes), -1.0, dtype=torch.float64)
    for row, side in enumerate(found):
        cuts[row, list(side)] = 1.0
    return cuts


def shattering_accuracy(codes: Tensor, labels: Tensor, known: Tensor, known_labels: Tensor) -> float:
    """The share of `codes` (m, latent) whose half a logistic regression on the `known` codes (n, latent) finds, on
    average over the `halves` of the classes that `known_labels` (n,) have; codes of other classes do not count.

    As in the Poisson VAE (Vafaii et al., NeurIPS 2024, after Rigotti et al. 2013), which has both mirror images of each
    cut, of equal accuracy. Codes are not standardised. 1 where there is one class.
    """
    classes = known_labels.unique()
    if len(classes) < 2:
        return 1.0
    cuts, is_known = halves(len(classes)), torch.isin(labels, classes)
    if not is_known.any():
        return 0.0
    known_sides, sides = (cuts[:, torch.searchsorted(classes, of)].T for of in (known_labels, labels[is_known]))
    weights, biases = fit(known.double(), known_sides)
    scores = codes[is_known].double() @ weights + biases
    return float((scores * sides > 0).double().mean())


def chance(labels: Tensor) -> float:
    """The share of images (m,) that are in the greater half, on average over the `halves` of their classes."""
    classes, places = labels.unique(return_inverse=True)
    if len(classes) < 2:
        return 1.0
    greater = (halves(len(classes))[:, places] > 0).double().mean(1)
    return float(torch.maximum(greater, 1 - greater).mean())


def fit(x: Tensor, sides: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (latent, cuts) and biases (cuts,) of one logistic regression for each column of `sides`, +1 or -1 (n,
    cuts), on rows x (n, latent), float64: all at once, since their sum is least where each is."""
    from evae.optimiser import LBFGS

    weights = torch.zeros(x.shape[1], sides.shape[1], dtype=x.dtype, requires_grad=True)
    biases = torch.zeros(sides.shape[1], dtype=x.dtype, requires_grad=True)
    options = {"max_iter": ITERATIONS, "history_size": 10, "line_search_fn": "strong_wolfe"}
    solver = LBFGS([weights, biases], tolerance_grad=1e-4, tolerance_change=1e-9, **options)

    def loss() -> Tensor:
        solver.zero_grad()
        total = F.softplus(-sides * (x @ weights + biases)).sum() + weights.square().sum() / (2 * PENALTY)
        total.backward()
        return total

    with torch.enable_grad():
        solver.step(loss)
    return weights.detach(), biases.detach()
