"""What every metric has to do: each check takes one as it is registered."""

import torch
from torch import Tensor

from evae.metrics.base import Metric
from evae.testing.contract import Check, expect

OF_FEATURES = ("features", "samples")


def pictures(channels: int, seed: int, n: int = 4) -> Tensor:
    return torch.rand(n, channels, 32, 32, generator=torch.Generator().manual_seed(seed))


def examples(metric: Metric) -> list[tuple[Tensor, ...]]:
    """Arguments of the kind that it takes; none for one that is declared alone, as that of a perceptual distance."""
    if metric.measure is None:
        return []
    if metric.of in OF_FEATURES:
        random = torch.Generator().manual_seed(0)
        return [(torch.rand(6, 5, generator=random), torch.rand(7, 5, generator=random))]
    count = 2 if metric.of == "pairs" else 1
    return [tuple(pictures(channels, seed) for seed in range(count)) for channels in (1, 3)]


def finite_numbers_of_the_right_shape(metric: Metric) -> None:
    """Of grey and of colour images: (n,), or of features one number."""
    for given in examples(metric):
        found = torch.as_tensor(metric.measure(*given))
        wanted = () if metric.of in OF_FEATURES else (len(given[0]),)
        expect(tuple(found.shape) == wanted, metric.name, f"yields {tuple(found.shape)} instead of {wanted}")
        expect(torch.isfinite(found.float()).all(), metric.name, "not finite for ordinary images")


def the_same_for_the_same(metric: Metric) -> None:
    """It draws no random numbers of its own, and leaves what it is given as it was."""
    for given in examples(metric):
        kept = [part.clone() for part in given]
        first, second = (torch.as_tensor(metric.measure(*given)) for _ in range(2))
        expect(torch.equal(first, second), metric.name, "yields other numbers the second time")
        same = all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))
        expect(same, metric.name, "changes what it is given")


def an_image_counts_alone(metric: Metric) -> None:
    """Images are measured in parts, which processes share: a number must not depend on the others."""
    if metric.of in OF_FEATURES:
        return
    for given in examples(metric):
        whole, alone = metric.measure(*given), metric.measure(*(part[:1] for part in given))
        near = torch.allclose(whole[:1], alone, rtol=1e-3, atol=1e-6)
        expect(near, metric.name, "an image's number depends on the others of its batch")


CHECKS: tuple[Check, ...] = (finite_numbers_of_the_right_shape, the_same_for_the_same, an_image_counts_alone)
