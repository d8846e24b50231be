"""The paper's networks: sizes, and what they refuse. What every family has to do is tested in test_families.py."""

import pytest
from counts import parameters
from torch import nn

from evae.errors import UserError
from evae.networks import SIZES, Conv


@pytest.mark.parametrize(
    ("image_size", "channels", "count"), [(32, 1, 1_428_929), (32, 3, 1_430_979), (64, 3, 10_811_011)]
)
def test_parameters_of_the_papers_networks(image_size, channels, count):
    assert parameters(*Conv().build(image_size, channels, latent=64, heads=2)) == count


def test_the_sizes_multiply_the_channels():
    def channels(width: float) -> list[int]:
        modules = Conv(width=width).build(32, 1, latent=4, heads=2)[0].modules()
        return [module.out_channels for module in modules if isinstance(module, nn.Conv2d)]

    assert {name: channels(width) for name, width in SIZES.items()} == {
        "tiny": [8, 16, 32, 64],
        "small": [16, 32, 64, 128],
        "paper": [32, 64, 128, 256],
        "large": [64, 128, 256, 512],
    }


def test_other_sizes_have_the_papers_network_that_is_nearest():
    # Up to 32 px that of 32 px, whose output is cut; above, that of 64 px from another start.
    of_32 = parameters(*Conv().build(32, 1, latent=64, heads=2))
    assert {parameters(*Conv().build(size, 1, latent=64, heads=2)) for size in (16, 28, (24, 32))} == {of_32}
    of_64 = parameters(*Conv().build(64, 1, latent=64, heads=2))
    first_layer = 512 * (64 + 1)
    for size, start in ((48, 36), (96, 144), ((48, 64), 48), ((33, 20), 15)):
        assert parameters(*Conv().build(size, 1, latent=64, heads=2)) == of_64 + (start - 64) * first_layer


@pytest.mark.parametrize(("image_size", "advised"), [(0, 16), (15, 16), (257, 256), ((32, 8), 16), ((300, 64), 256)])
def test_an_unsupported_image_size_is_an_error_that_names_the_nearest(image_size, advised):
    with pytest.raises(UserError, match=f"16 to 256 px a side.* Use image_size {advised}"):
        Conv().build(image_size, 1, latent=4, heads=2)
