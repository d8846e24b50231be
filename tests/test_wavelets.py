"""The Haar transform: orthonormal, exactly invertible, and scaled as LiteVAE scales it."""

import pytest
import torch

from evae.errors import UserError
from evae.wavelets import haar, inverse_haar, pyramid


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 1, 2, 2), (2, 3, 24, 40)])
def test_it_keeps_the_energy_and_has_an_inverse(shape):
    x = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    bands = haar(x)
    assert bands.shape == (shape[0], 4 * shape[1], shape[2] // 2, shape[3] // 2)
    torch.testing.assert_close(bands.square().sum(), x.square().sum())
    torch.testing.assert_close(inverse_haar(bands), x)
    torch.testing.assert_close(haar(inverse_haar(bands)), bands)


def test_it_is_the_average_and_three_differences_of_each_square():
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]])[None, None]
    assert haar(x).flatten().tolist() == [5.5, -1.5, -2.5, 0.5]


def test_a_constant_image_has_no_details_and_keeps_its_value_at_every_level():
    levels = list(pyramid(torch.full((1, 2, 16, 8), 0.75), 3))
    assert [tuple(level.shape) for level in levels] == [(1, 8, 8, 4), (1, 8, 4, 2), (1, 8, 2, 1)]
    for level in levels:
        assert (level[:, :2] == 0.75).all() and not level[:, 2:].any()


def test_a_checkerboard_is_all_diagonal():
    low, columns, rows, both = haar(torch.eye(2).repeat(2, 2)[None, None])[0]
    assert (low == 1).all() and (both.abs() == 1).all() and not columns.any() and not rows.any()


def test_gradients_pass():
    x = torch.rand(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(haar, x) and torch.autograd.gradcheck(inverse_haar, haar(x))


@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (1, 1, 4, 5)])
def test_odd_sides_are_an_error(shape):
    with pytest.raises(UserError, match="even height and width"):
        haar(torch.zeros(shape))
