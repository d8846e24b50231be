"""Convolutions as matrix products are torch's convolutions, with their gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from evae.networks import Conv, products
from evae.networks.products import Convolution, TransposedConvolution

LAYERS = {
    "halving": Convolution(3, 5, 4, stride=2, padding=1),
    "halving, odd": Convolution(3, 5, 5, stride=2, padding=2),
    "keeping": Convolution(3, 5, 3, padding=1),
    "from one place": TransposedConvolution(3, 5, 4),
    "doubling": TransposedConvolution(3, 5, 4, stride=2, padding=1),
    "doubling, odd": TransposedConvolution(3, 5, 5, stride=2, padding=2, output_padding=1),
}
SIDES = {"from one place": [(1, 1)]}


def product(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "_as_product", lambda *_: True)
        return layer(x)


@pytest.mark.parametrize(
    ("name", "size"), [(name, size) for name in LAYERS for size in SIDES.get(name, [(8, 8), (7, 10), (3, 2)])]
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_they_are_those_of_torch(name, size, layout):
    layer = LAYERS[name].double().to(memory_format=layout)
    x = torch.randn(2, 3, *size, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    expected, found = layer(x), product(layer, x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    along = torch.randn_like(expected)
    given = (x, layer.weight, layer.bias)
    theirs, ours = (torch.autograd.grad(made, given, along) for made in (expected, found))
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", LAYERS)
def test_they_can_be_stacked(name):
    """By torch.vmap, as replicas of a model are."""
    layer, size = LAYERS[name].double(), SIDES.get(name, [(6, 4)])[0]
    x = torch.randn(4, 2, 3, *size, dtype=torch.float64)
    stacked = torch.vmap(lambda one: product(layer, one))(x)
    torch.testing.assert_close(stacked, torch.stack([layer(one) for one in x]), rtol=1e-12, atol=1e-12)


def test_on_cpus_layers_are_torchs_own(monkeypatch):
    monkeypatch.setattr(products, "patches", None)
    layer, x = LAYERS["halving"].float(), torch.randn(2, 3, 8, 8)
    assert torch.equal(layer(x), F.conv2d(x, layer.weight, layer.bias, 2, 1))


@pytest.mark.gpu
@pytest.mark.parametrize(("side", "batch"), [(32, 64), (64, 8)])
def test_on_cuda_they_are_taken_in_float32_where_they_are_small(monkeypatch, side, batch):
    taken = []
    monkeypatch.setattr(products, "patches", lambda *given, of=products.patches: taken.append(1) or of(*given))
    encoder = Conv(width=0.25).build(side, 1, latent=4, heads=2)[0].cuda()
    x = torch.rand(batch, 1, side, side, device="cuda")
    found = encoder(x)
    assert len(taken) == 4
    monkeypatch.setattr(products, "MOST_NUMBERS", 0)
    torch.testing.assert_close(encoder(x), found, rtol=1e-3, atol=1e-4)
    with torch.autocast("cuda", torch.bfloat16):
        encoder(x)
    assert len(taken) == 4
