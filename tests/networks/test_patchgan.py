"""The discriminator: sizes, what its verdict depends on, and what it refuses."""

import pytest
import torch
from counts import parameters, statistics
from torch import nn

from evae.errors import UserError
from evae.networks import PatchGan
from evae.networks.base import NORMALISATIONS

every_normalisation = pytest.mark.parametrize("kind", NORMALISATIONS)


def test_parameters_of_the_official_discriminator():
    """Keras counts BatchNorm's statistics."""
    network = PatchGan(normalisation="batch").build(256, 3)
    assert parameters(network) + statistics(network) == 412_101
    assert parameters(PatchGan().build(256, 3)) == 412_101 - 1_026


@every_normalisation
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image_size", [8, 32, 48, 96])
def test_a_logit_for_every_eighth_pixel(kind, channels, image_size):
    logits = PatchGan(width=0.05, normalisation=kind).build(image_size, channels)(
        torch.rand(2, channels, image_size, image_size)
    )
    assert logits.shape == (2, 1, image_size // 8, image_size // 8)


def test_a_logit_sees_63_pixels_square():
    network = PatchGan(width=0.1).build(256, 1)
    images = torch.rand(1, 1, 256, 256, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(images)[0, 0, 16, 16], images)
    rows, columns = gradient[0, 0].nonzero().T
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (63, 63)
    assert len(rows) == 63**2


@every_normalisation
@pytest.mark.parametrize("channels", [1, 3])
def test_the_loss_reaches_every_parameter(kind, channels):
    network = PatchGan(width=0.1, normalisation=kind).build(32, channels)
    network(torch.rand(4, channels, 32, 32)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    # The gradient of a bias is zero where BatchNorm takes it away.
    assert [name for name, p in network.named_parameters() if "bias" not in name and not p.grad.any()] == []


def test_the_same_seed_gives_the_same_weights():
    def weights(seed: int) -> dict:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return PatchGan(width=0.1).build(32, 1).state_dict()

    same, again, other = weights(3), weights(3), weights(4)
    assert all(torch.equal(value, again[name]) for name, value in same.items())
    assert any(not torch.equal(value, other[name]) for name, value in same.items())


@pytest.mark.parametrize("kind", ["affine", "group"])
def test_the_verdict_on_an_image_depends_neither_on_the_others_nor_on_the_mode(kind):
    network = PatchGan(width=0.1, normalisation=kind).build(32, 1)
    images = torch.rand(4, 1, 32, 32)
    together = network.train()(images)
    torch.testing.assert_close(network.eval()(images), together, rtol=0, atol=0)
    torch.testing.assert_close(network(images[:1]), together[:1], rtol=1e-4, atol=1e-5)
    # A GroupNorm on the logits would make it zero.
    assert together.mean((1, 2, 3)).abs().min() > 1e-4


def test_with_batch_statistics_no_batch_looks_more_real_than_another():
    """Why it is not the default: the mean logit is zero for real images as for reconstructions."""
    network = PatchGan(width=0.1, normalisation="batch").build(32, 1).train()
    for images in (torch.rand(4, 1, 32, 32), 0.1 * torch.rand(4, 1, 32, 32)):
        assert network(images).mean().abs() < 1e-5


def test_dropout_is_off_unless_asked_for_and_drops_in_training_alone():
    images = torch.rand(2, 1, 64, 64)
    plain, dropping = (PatchGan(width=0.1, dropout=p).build(64, 1).train() for p in (0.0, 0.25))
    assert torch.equal(plain(images), plain(images))
    assert not torch.equal(dropping(images), dropping(images))
    assert len([layer for layer in dropping if isinstance(layer, nn.Dropout)]) == 6
    dropping.eval()
    assert torch.equal(dropping(images), dropping(images))


@pytest.mark.parametrize(("image_size", "advised"), [(28, "24 or 32"), (100, "96 or 104"), (4, "8")])
def test_an_image_size_that_is_no_multiple_is_an_error_that_names_the_nearest(image_size, advised):
    with pytest.raises(UserError, match=f"PatchGAN .* multiples of 8 pixels.* Use image_size {advised}"):
        PatchGan().build(image_size, 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"width": 0.0}, "width must be"), ({"normalisation": "none"}, "Known: affine"), ({"dropout": 1.0}, "below 1")],
)
def test_other_values_out_of_range_are_errors(given, said):
    with pytest.raises(UserError, match=said):
        PatchGan(**given)
