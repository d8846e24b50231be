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


def compared(criterion: Criterion, x: torch.Tensor, made: torch.Tensor) -> float:
    """The term of these images and reconstructions."""
    n = len(x)
    codes = torch.zeros(n, 3)
    with torch.no_grad():
        return float(criterion.term(Seen(x, made, codes.repeat(1, 2), codes, codes, Ranks().share(n))))


def errors_cost(criterion: Criterion) -> None:
    """Of images: least where the reconstruction is the image, and more for a greater error."""
    if not criterion.of_images:
        return
    given = seen(4)
    x, other = given.x, given.made.detach()
    costs = [compared(criterion, x, torch.lerp(x, other, share)) for share in (0.0, 0.2, 0.6)]
    expect(costs[0] < costs[1] < costs[2], "term", f"not greater for a greater error: {costs}")


def terms_grow_with_the_image_as_nats_do(criterion: Criterion) -> None:
    """Of images: about twice as much for an image twice as high, and the same for twice as many images."""
    if not criterion.of_images:
        return
    given = seen(2)
    # Large enough for what a network sees at the edges to count little.
    wide = [torch.cat([part, part.flip(3)], 3) for part in (given.x, given.made.detach())]
    x, made = (torch.cat([part, part.flip(2)], 2) for part in wide)
    once = compared(criterion, x, made)
    high = compared(criterion, *(torch.cat([part, part.flip(2)], 2) for part in (x, made)))
    expect(1.5 < high / once < 2.5, "term", f"{high / once:.2f} times as much for an image twice as high, not about 2")
    many = compared(criterion, x.repeat(2, 1, 1, 1), made.repeat(2, 1, 1, 1))
    expect(abs(many / once - 1) < 1e-3, "term", "not a mean over images")


CHECKS: tuple[Check, ...] = (one_finite_number, it_can_be_trained, errors_cost, terms_grow_with_the_image_as_nats_do)
