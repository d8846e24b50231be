"""What every network family has to do: each check takes one with its hyperparameters."""

import math

import torch
from torch import Tensor, nn

from evae.errors import UserError
from evae.models import build_model
from evae.networks.base import Network
from evae.posteriors.gaussian import Gaussian
from evae.sizes import ImageSize
from evae.testing.contract import Check, expect

SIZES = (28, 32, 64, 96, 128, 256)
"""Pixels: a family need not support all of them, but one it must."""


def image_size(network: Network) -> int:
    """The smallest usual side that the family supports."""
    for size in SIZES:
        try:
            network.build(size, 1, 2, 2)
        except UserError:
            continue
        return size
    expect(False, "build", f"supports images of none of {', '.join(map(str, SIZES))} px")


def built(
    network: Network, size: ImageSize, channels: int = 1, latent: int = 8, heads: int = 2
) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder in evaluation mode."""
    encoder, decoder = network.build(size, channels, latent, heads)
    return encoder.eval(), decoder.eval()


def numbers(network: Network, size: ImageSize, latent: int = 8) -> int:
    """How many numbers a code has."""
    return math.prod(network.code_shape(size, latent))


def shapes(network: Network) -> None:
    """Images to heads of as many numbers as `code_shape` says, codes to outputs of the images' shape."""
    size = image_size(network)
    for channels, latent, heads in ((1, 5, 3), (3, 1, 1), (1, 16, 2)):
        encoder, decoder = built(network, size, channels, latent, heads)
        shape = network.code_shape(size, latent)
        expect(len(shape) in (1, 3), "code_shape", f"{shape} is neither (latent,) nor (latent, height, width)")
        expect(shape[0] == latent, "code_shape", f"{shape} begins with another number than that of latents, {latent}")
        images = torch.rand(2, channels, size, size)
        found, wanted = tuple(encoder(images).shape), (2, heads * math.prod(shape))
        expect(found == wanted, "build", f"the encoder yields {found} instead of (n, heads * numbers), {wanted}")
        found = tuple(decoder(torch.randn(2, math.prod(shape))).shape)
        expect(found == tuple(images.shape), "build", f"the decoder yields {found} for images of {tuple(images.shape)}")


def takes_rectangles(network: Network) -> None:
    """A family that `takes_rectangles` is built for (height, width), and its code maps are as long and wide."""
    if not network.takes_rectangles:
        return
    size = image_size(network)
    for height, width in ((size, 2 * size), (2 * size, size)):
        encoder, decoder = built(network, (height, width))
        images, wanted = torch.rand(2, 1, height, width), (2, 2 * numbers(network, (height, width)))
        found = tuple(encoder(images).shape)
        expect(found == wanted, "build", f"of {height} x {width} px, the encoder yields {found} instead of {wanted}")
        found = tuple(decoder(torch.randn(2, wanted[1] // 2)).shape)
        expect(found == tuple(images.shape), "build", f"the decoder yields {found} for images of {tuple(images.shape)}")
        shape = network.code_shape((height, width), 8)
        expect(
            len(shape) == 1 or (shape[1] < shape[2]) == (height < width), "code_shape", f"{shape} lies the other way"
        )


def points_go_through(network: Network) -> None:
    """Of a family that takes points: any number of dimensions, as channels of one pixel."""
    if not network.takes_points:
        return
    for dimensions in (1, 2, 50):
        encoder, decoder = built(network, 1, dimensions, 1, 2)
        points = torch.randn(3, dimensions, 1, 1)
        found = tuple(encoder(points).shape), tuple(decoder(torch.randn(3, 1)).shape)
        wanted = (3, 2), tuple(points.shape)
        expect(found == wanted, "build", f"takes points, and makes {found} of {tuple(points.shape)}, not {wanted}")


def takes_other_sizes(network: Network) -> None:
    """A family `of_any_size` takes images of twice the size as what is built for these does, and their codes."""
    if not network.of_any_size:
        return
    size = image_size(network)
    for one, other in ((size, 2 * size), (2 * size, size)):
        encoder, decoder = built(network, one)
        images = torch.rand(2, 1, other, other)
        heads = encoder(images)
        wanted = 2, 2 * numbers(network, other)
        expect(tuple(heads.shape) == wanted, "build", f"of {other} px, the encoder yields {tuple(heads.shape)}")
        found = tuple(decoder(heads[:, : wanted[1] // 2]).shape)
        expect(found == tuple(images.shape), "build", f"the decoder yields {found} for images of {tuple(images.shape)}")


def every_pixel_takes_part(network: Network) -> None:
    """Every pixel of the input reaches the code, and every pixel of the output depends on it."""
    size = image_size(network)
    encoder, decoder = built(network, size)
    images = torch.rand(1, 1, size, size, requires_grad=True)
    (gradient,) = torch.autograd.grad(encoder(images).square().sum(), images)
    expect(gradient.all(), "build", "some pixels of an image do not reach its code")
    # Of several codes, since by rounding two may give a pixel the same value.
    codes = torch.tensor([0.0, 1.0, -1.0, 2.0])[:, None].expand(4, numbers(network, size))
    made: Tensor = decoder(codes)
    expect((made[1:] != made[:1]).any(0).all(), "build", "some pixels of the output do not depend on the code")


def the_loss_reaches_every_parameter(network: Network) -> None:
    """A parameter without a gradient would make distributed training wait for it. A bias may have one of zero, where
    BatchNorm takes it away."""
    size = image_size(network)
    model = build_model(Gaussian(), network, size, 1, 8, seed=0).train()
    model(torch.rand(4, 1, size, size), torch.Generator().manual_seed(0))["loss"].backward()
    parameters = list(model.named_parameters())
    lost = [n for n, p in parameters if p.grad is None or not p.grad.isfinite().all()]
    lost += [n for n, p in parameters if n not in lost and "bias" not in n and not p.grad.any()]
    expect(not lost, "build", f"the loss does not reach the parameters {', '.join(lost[:5])}")


def weights_follow_from_the_seed(network: Network) -> None:
    size = image_size(network)
    same, again, other = (build_model(Gaussian(), network, size, 1, 8, seed=s).state_dict() for s in (3, 3, 4))
    expect(all(torch.equal(v, again[n]) for n, v in same.items()), "build", "the same seed gives other first weights")
    expect(any(not torch.equal(v, other[n]) for n, v in same.items()), "build", "every seed gives the same weights")


def an_image_means_the_same_alone_as_among_others(network: Network) -> None:
    size = image_size(network)
    encoder, decoder = built(network, size)
    images = torch.rand(3, 1, size, size)
    heads = encoder(images)
    near = dict(rtol=1e-3, atol=1e-4)
    codes = heads[:, : numbers(network, size)]
    alone = torch.allclose(encoder(images[:1]), heads[:1], **near)
    alone &= torch.allclose(decoder(codes[:1]), decoder(codes)[:1], **near)
    expect(alone, "build", "in evaluation, an image's numbers depend on the others of its batch")


CHECKS: tuple[Check, ...] = (
    shapes,
    takes_other_sizes,
    takes_rectangles,
    points_go_through,
    every_pixel_takes_part,
    the_loss_reaches_every_parameter,
    weights_follow_from_the_seed,
    an_image_means_the_same_alone_as_among_others,
)
