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


@pytest.mark.parametrize(("image_size", "advised"), [(28, 32), (0, 32), (48, 32), (128, 64)])
def test_an_unsupported_image_size_is_an_error_that_lists_the_supported_ones(image_size, advised):
    with pytest.raises(UserError, match=f"Supported: 32, 64. Use image_size {advised}"):
        Conv().build(image_size, 1, latent=4, heads=2)
