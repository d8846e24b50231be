"""What codes are good for downstream: how often the class of an image can be told from its code, with few labels.

The classification arm of Vafaii et al. 2024 (Poisson VAE), k nearest neighbours, and a linear classifier
beside it. Codes are posterior means.
"""

from __future__ import annotations

from evae.hardware import threads_of_torch
from evae.lazy import TYPE_CHECKING, torch
from evae.metrics.base import declare
from evae.quiet import ignored

if TYPE_CHECKING:
    from torch import Tensor

declare("knn_accuracy", of="labels", direction="max")
declare("linear_accuracy", of="labels", direction="max")

NEIGHBOURS = 5
PENALTY = 1.0
"""The inverse strength C of the linear classifier's squared penalty, of standardised codes: scikit-learn's default."""
ITERATIONS = 200
"""At most, of the linear classifier's solver: of standardised codes it needs some dozens."""
BLOCK = 1 << 22
"""Distances that are held at once: 32 MiB."""


def knn_accuracy(codes: Tensor, labels: Tensor, known: Tensor, known_labels: Tensor) -> float:
    """The share of `codes` (m, latent) whose class, `labels` (m,), is the most frequent one among the `NEIGHBOURS` of
    the `known` codes (n, latent), with `known_labels` (n,), that are nearest in Euclidean distance; of classes that are
    equally frequent the first.
    """
    classes, known, right = int(known_labels.max()) + 1, known.double(), 0
    rows = max(1, BLOCK // max(len(known), classes))
    for some, theirs in zip(codes.double().split(rows), labels.split(rows), strict=True):
        nearest = torch.cdist(some, known).topk(min(NEIGHBOURS, len(known)), largest=False).indices
        votes = torch.zeros(len(some), classes).scatter_add_(1, known_labels[nearest], torch.ones(nearest.shape))
        right += int((votes.argmax(1) == theirs).sum())
    return right / len(codes)


def linear_accuracy(codes: Tensor, labels: Tensor, known: Tensor, known_labels: Tensor) -> float:
    """The share of `codes` (m, latent) whose class, `labels` (m,), a logistic regression on the `known` codes
    (n, latent) with `known_labels` (n,) finds. Codes are standardised by the known ones'; latents that are constant
    there say nothing.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(known_labels.unique()) < 2:
        return float((labels == known_labels[0]).double().mean())
    known = known.double()
    mean, std = known.mean(0), known.std(0, correction=0)
    varying = std > 1e-12 * known.abs().amax(0)
    known, codes = (((x.double() - mean) / std)[:, varying].numpy() for x in (known, codes))
    if not varying.any():
        return float((labels == known_labels.mode().values).double().mean())
    # Where the solver is not at the optimum yet, what it has found is a classifier too.
    with ignored(ConvergenceWarning), threads_of_torch():
        classifier = LogisticRegression(C=PENALTY, max_iter=ITERATIONS).fit(known, known_labels.numpy())
    return float(classifier.score(codes, labels.numpy()))
