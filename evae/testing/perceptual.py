"""What every perceptual distance has to do: each check takes the function that is registered."""

import torch
from torch import Tensor, nn

from evae.backbones.names import Source
from evae.errors import UserError
from evae.testing.contract import Check, expect


def loaded(source: Source) -> nn.Module | None:
    """None where what it needs is not on this machine: the study will say so, if it asks for it."""
    try:
        return source.read(*source.find())
    except UserError:
        return None


def pictures(channels: int, seed: int, height: int = 32, width: int = 32) -> Tensor:
    return torch.rand(3, channels, height, width, generator=torch.Generator().manual_seed(seed))


def a_finite_number_for_each_pair(source: Source) -> None:
    """Of images in grey and in colour and of any proportions: 0 for equal ones, above it for others."""
    if (distance := loaded(source)) is None:
        return
    for channels, width in ((1, 32), (3, 32), (3, 48)):
        x, made = (pictures(channels, seed, width=width) for seed in (0, 1))
        found, none = distance(x, made), distance(x, x)
        expect(tuple(found.shape) == (3,), "forward", f"yields {tuple(found.shape)} instead of (n,)")
        expect(found.isfinite().all() and (found > 0).all(), "forward", "is not above 0 for images that differ")
        expect(torch.allclose(none, torch.zeros(3), atol=1e-5), "forward", "is not 0 for equal images")


def its_weights_have_a_name_and_stay(source: Source) -> None:
    """`digest` is text, and nothing in it is trained."""
    if (distance := loaded(source)) is None:
        return
    expect(isinstance(distance, nn.Module), "the function", "returns a torch.nn.Module")
    expect(isinstance(getattr(distance, "digest", None), str), "digest", "is no text that names its weights")
    expect(
        not any(p.requires_grad for p in distance.parameters()), "parameters", "are not frozen: requires_grad_(False)"
    )


def gradients_reach_both_images(source: Source) -> None:
    if (distance := loaded(source)) is None:
        return
    x, made = (pictures(3, seed).requires_grad_() for seed in (0, 1))
    distance(x, made).sum().backward()
    for name, images in (("first", x), ("second", made)):
        reached = images.grad is not None and images.grad.isfinite().all() and images.grad.any()
        expect(reached, "forward", f"no finite gradient reaches the {name} images")


CHECKS: tuple[Check, ...] = (
    a_finite_number_for_each_pair,
    its_weights_have_a_name_and_stay,
    gradients_reach_both_images,
)
