"""The U-Net discriminator: counts, sizes, spectral norms; and the contract of all discriminators."""

from itertools import pairwise

import pytest
import torch
from counts import parameters
from torch import nn

from evae.errors import UserError
from evae.networks import UNetDiscriminator, discriminator
from evae.networks.unet_layers import Block, SpectralNorm
from evae.testing.discriminators import CHECKS


@pytest.mark.parametrize("family", discriminator)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(family, check):
    check(discriminator[family]())


def test_parameters_at_256_px():
    """2.75, 11.0 and 44.1 M (papers-more.md, section 4); by hand 2,757,058 of the narrowest."""
    network = UNetDiscriminator().build(256, 3)
    assert parameters(network) == 2_757_058
    for channels, count in ((32, 11_020_674), (64, 44_067_586)):
        widths = (3, *UNetDiscriminator(channels=channels).widths(256))
        up = [widths[-1], *(2 * w for w in reversed(widths[1:-1]))], [*reversed(widths[1:-1]), widths[1]]
        pairs = [*pairwise(widths), *zip(*up, strict=True)]
        blocks = sum(9 * a * b + b + 9 * b * b + b + a * b + b for a, b in pairs)
        assert blocks + widths[-1] + 1 + widths[1] + 1 == count


@pytest.mark.parametrize(
    ("side", "widths"),
    [(32, (1, 2, 4)), (40, (1, 2, 4)), (64, (1, 2, 4, 8)), (128, (1, 2, 4, 8, 16)), (512, (1, 2, 4, 8, 8, 16))],
)
def test_it_halves_the_side_down_to_4_px(side, widths):
    assert UNetDiscriminator(channels=2).widths(side) == tuple(2 * width for width in widths)


@pytest.mark.parametrize("side", [32, 40, 96])
def test_a_logit_for_every_pixel_and_one_for_the_image(side):
    pixels, whole = UNetDiscriminator(channels=1).build(side, 3)(torch.rand(2, 3, side, side))
    assert pixels.shape == (2, 1, side, side) and whole.shape == (2, 1)


@pytest.mark.parametrize(("side", "advised"), [(28, "32"), (24, "32"), (100, "96 or 104")])
def test_other_sides_are_refused(side, advised):
    with pytest.raises(UserError, match=f"multiples of 8 pixels, from 32 on.* Use image_size {advised}"):
        UNetDiscriminator().check(side)
    with pytest.raises(UserError, match="channels must be at least 1"):
        UNetDiscriminator(channels=0)


def test_every_layer_but_the_last_has_a_largest_singular_value_of_1():
    network = UNetDiscriminator(channels=4).build(32, 1)
    for _ in range(30):
        network(torch.rand(1, 1, 32, 32))
    normed, free = [], []
    for name, layer in network.eval().named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            found = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
            (free if name == "pixels" else normed).append(found.detach())
            assert (name == "pixels") == (not hasattr(layer, "parametrizations"))
    torch.testing.assert_close(torch.stack(normed), torch.ones(len(normed)), rtol=2e-2, atol=0)
    assert len(free) == 1 and len(normed) == 3 * 6 + 1


def test_the_spectral_norms_gradient_is_that_of_the_weight_over_its_norm():
    weight = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    norm = SpectralNorm(weight.float()).double()
    for _ in range(200):
        norm(weight)
    by_hand = weight / torch.linalg.matrix_norm(weight, 2)
    (wanted,) = torch.autograd.grad(by_hand.sin().sum(), weight)
    (found,) = torch.autograd.grad(norm.eval()(weight).sin().sum(), weight)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-8)


def test_a_second_forward_pass_leaves_the_gradients_of_the_first_alone():
    block, x = Block(2, 2, "down"), torch.rand(2, 2, 8, 8)
    first = block(x).sum()
    block(x)
    first.backward()
    assert all(parameter.grad is not None for parameter in block.parameters())


def test_it_can_be_built_without_memory_as_before_a_study():
    with torch.device("meta"):
        assert UNetDiscriminator().build(64, 3).pixels.weight.is_meta
