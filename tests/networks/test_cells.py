"""The Poisson VAE's convolutional networks: the authors' numbers of parameters, and their blocks."""

import pytest
import torch
from counts import parameters

from evae.errors import UserError
from evae.models import build_model
from evae.networks import Cells, CellsLinear
from evae.networks.cell_blocks import NormedConv, ShiftedQuarters, doubling_cell, halving_cell
from evae.posteriors import Gaussian, Poisson


@pytest.mark.parametrize(
    ("posterior", "network", "image_size", "latent", "count"),
    [
        (Poisson(), CellsLinear(), 28, 512, 5_432_636),
        (Poisson(), CellsLinear(), 16, 512, 1_405_596),
        (Gaussian(), CellsLinear(), 28, 512, 5_563_708),
        (Gaussian(), CellsLinear(), 16, 512, 1_471_132),
        (Poisson(), Cells(), 28, 10, 6_150_682),
        (Poisson(), Cells(), 28, 50, 6_201_962),
        (Poisson(), Cells(), 28, 100, 6_266_062),
    ],
)
def test_parameters_are_the_authors(posterior, network, image_size, latent, count):
    """Those with a linear decoder from their table, the others from its formula; the prior's log-rates among them."""
    with torch.device("meta"):
        assert parameters(build_model(posterior, network, image_size, 1, latent, seed=0)) == count


def test_the_weights_of_a_convolution_have_the_norm_that_is_learned():
    """Whatever their own length."""
    convolution, x = NormedConv(2, 3, 3), torch.rand(1, 2, 5, 5)
    with torch.no_grad():
        convolution.bias.zero_()
        first = convolution(x)
        convolution.weight *= 7
        torch.testing.assert_close(convolution(x), first)
        convolution.log_norm += 1
        torch.testing.assert_close(convolution(x), torch.e * first)
        convolution.weight.copy_(torch.eye(3)[:, :1, None, None].expand(3, 2, 3, 3))
    assert convolution(x).isfinite().all()


def test_a_shortcut_of_quarters_leaves_no_pixel_out():
    x = torch.rand(1, 2, 4, 4, requires_grad=True)
    ShiftedQuarters(2, 8)(x).sum().backward()
    assert x.grad.all()


def test_cells_halve_and_double():
    x = torch.rand(1, 8, 6, 6)
    assert halving_cell(8, 2, every_pixel=True)(x).shape == (1, 16, 3, 3)
    assert halving_cell(8, 2, every_pixel=False)(x[..., :5, :5]).shape == (1, 16, 3, 3)
    assert doubling_cell(8)(x).shape == (1, 4, 12, 12)


def test_other_sizes_are_an_error():
    with pytest.raises(UserError, match=r"cells_linear networks do not support images of 32 .*Use image_size 28"):
        CellsLinear().check(32, 10)


def test_the_decoder_of_one_matrix_is_linear():
    model = build_model(Poisson(), CellsLinear(width=0.1), 16, 1, 5, seed=0)
    z = torch.rand(2, 5)
    torch.testing.assert_close(model.decoder(z).sum(0), model.decoder(z.sum(0, keepdim=True))[0])
