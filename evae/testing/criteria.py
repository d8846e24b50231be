"""What every criterion has to do: each check takes one with its hyperparameters."""

import torch

from evae.criteria.base import Criterion, Seen
from evae.ranks import Ranks
from evae.testing.contract import Check, expect


def seen(n: int, latent: int = 3) -> Seen:
    """A step's images, reconstructions and codes, the latter two with gradients."""
    random = torch.Generator().manual_seed(0)
    x = torch.rand(n, 1, 32, 32, generator=random)
    made = torch.rand(n, 1, 32, 32, generator=random).requires_grad_()
    heads = torch.randn(n, 2 * latent, generator=random).requires_grad_()
    codes = heads[:, :latent] + torch.randn(n, latent, generator=random)
    return Seen(x, made, heads, codes, torch.randn(n, latent, generator=random), Ranks().share(n))


def one_finite_number(criterion: Criterion) -> None:
    """Also of one image alone, the rest of a batch."""
    for n in (6, 1):
        value = criterion.term(seen(n))
        expect(value.shape == (), "term", f"shape {tuple(value.shape)} instead of one number")
        expect(torch.isfinite(value), "term", f"not finite for {n} image(s)")


def it_can_be_trained(criterion: Criterion) -> None:
    """Its gradient reaches the reconstructions or the codes, and is finite."""
    given = seen(6)
    value = criterion.term(given)
    expect(value.requires_grad, "term", "has no gradient: neither reconstructions nor codes can be trained by it")
    found = torch.autograd.grad(value, [given.made, given.heads], allow_unused=True)
    finite = all(g is None or g.isfinite().all() for g in found)
    expect(finite, "term", "its gradient is not finite")


CHECKS: tuple[Check, ...] = (one_finite_number, it_can_be_trained)
