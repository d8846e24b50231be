"""How well classes are told from codes, where images have labels."""

from collections.abc import Iterator

import torch
from torch import Tensor

from evae.data import batch, tensor
from evae.data.labels import UNLABELLED
from evae.evaluation.rows import LABELLED, noise_of, rows_of
from evae.metrics import shattering
from evae.metrics.downstream import NEIGHBOURS, PENALTY, knn_accuracy, linear_accuracy
from evae.ranks import Share
from evae.training import Training


def accuracies(training: Training, split: str) -> Iterator[tuple[str, float, dict]]:
    """Column, value and identity of each accuracy: on all images of the split that have a label, with as many labels of
    training images as the recipe says, where there are so many. Which these are hangs on the evaluation's seed alone;
    fewer of them are a part of more."""
    labels, evaluation = training.images.labels, training.recipe.evaluation
    if labels is None or not evaluation.downstream:
        return
    theirs, known = (tensor(part) for part in (getattr(labels, split), labels.train))
    measured, there = (theirs != UNLABELLED).nonzero()[:, 0], (known != UNLABELLED).nonzero()[:, 0]
    counts = [count for count in evaluation.downstream if count <= len(there)]
    if not counts or not len(measured):
        return
    drawn = there[torch.randperm(len(there), generator=noise_of(training, LABELLED, split, "cpu"))[: max(counts)]]
    codes = _representations(training, split, measured)
    known_codes = _representations(training, "train", drawn)
    same = {"labels": labels.digest, "n_measured": len(measured), "split": split, "seed": evaluation.seed}
    same["chance"] = float(theirs[measured].bincount().max()) / len(measured)
    for count in counts:
        given = codes, theirs[measured], known_codes[:count], known[drawn[:count]]
        knn = same | {"n_labels": count, "neighbours": NEIGHBOURS}
        yield f"knn_accuracy_{count}", knn_accuracy(*given), knn
        linear = same | {"n_labels": count, "penalty": PENALTY}
        yield f"linear_accuracy_{count}", linear_accuracy(*given), linear
        halved = same | {"n_labels": count, "penalty": shattering.PENALTY}
        halved["chance"] = shattering.chance(theirs[measured])
        yield f"shattering_accuracy_{count}", shattering.shattering_accuracy(*given), halved


def _representations(training: Training, split: str, which: Tensor) -> Tensor:
    """What tells the class of these images of a split, (n, latent): of most posteriors, the mean."""
    images = getattr(training.images, split)

    def measure(share: Share, chunk: slice) -> dict[str, Tensor]:
        x = batch(images, which[chunk], training.device)
        return {"codes": training.model.posterior.representation(training.model.encode(x))}

    return rows_of(training, len(which), measure)["codes"]
