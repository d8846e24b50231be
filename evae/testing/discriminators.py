"""What every discriminator family has to do: each check takes one with its hyperparameters."""

import torch
from torch import Tensor, nn

from evae.networks.discriminator import Discriminator
from evae.testing.contract import Check, expect

SIDE = 32
"""Pixels of the images; every family takes them."""


def built(discriminator: Discriminator, channels: int = 1) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return discriminator.build(SIDE, channels)


def pictures(n: int, channels: int = 1) -> Tensor:
    return torch.rand(n, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(7))


def logits(network: nn.Module, images: Tensor) -> list[Tensor]:
    found = network(images)
    return list(found) if isinstance(found, tuple) else [found]


def logits_of_each_image(discriminator: Discriminator) -> None:
    """Finite ones, in one tensor or several, of grey and of colour images."""
    for channels in (1, 3):
        for found in logits(built(discriminator, channels), pictures(2, channels)):
            expect(len(found) == 2, "build", f"logits of shape {tuple(found.shape)} for 2 images")
            expect(found.isfinite().all(), "build", "logits that are not finite")


def gradients_reach_images_and_parameters(discriminator: Discriminator) -> None:
    network, images = built(discriminator), pictures(2).requires_grad_()
    sum(found.square().sum() for found in logits(network, images)).backward()
    expect(images.grad.any(), "build", "no gradient reaches the images")
    lost = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    expect(not lost, "build", f"the loss does not reach the parameters {', '.join(lost[:5])}")


def images_are_judged_alone(discriminator: Discriminator) -> None:
    """As together with others, so that any number of processes trains the same."""
    network = built(discriminator).eval()
    with torch.no_grad():
        together, alone = logits(network, pictures(3)), logits(network, pictures(3)[:1])
    for one, other in zip(together, alone, strict=True):
        near = torch.allclose(one[:1], other, rtol=1e-3, atol=1e-4)
        expect(near, "build", "in evaluation, an image's logits depend on the others of its batch")


def weights_follow_from_torchs_generator(discriminator: Discriminator) -> None:
    one, two = built(discriminator).state_dict(), built(discriminator).state_dict()
    expect(all(torch.equal(value, two[name]) for name, value in one.items()), "build", "not the same from one seed")


CHECKS: tuple[Check, ...] = (
    logits_of_each_image,
    gradients_reach_images_and_parameters,
    images_are_judged_alone,
    weights_follow_from_torchs_generator,
)
