"""Perceptual distances: against their authors' own code, what a distance must be, and what is missing."""

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from evae.backbones import files, names
from evae.backbones.lpips import Blur, load_lpips, read
from evae.backbones.names import DISTANCES, load
from evae.backbones.perceptual import PerceptualDistance
from evae.criteria import Perceptual
from evae.errors import UserError
from evae.metrics.perceptual import perceptual
from evae.signals import in_colours

CPU = torch.device("cpu")
THERE = ("st_lpips_alex", "efficientnet_features")
"""Those whose weights come with packages, but for the slow VGG16."""


def pictures(seed: int, side: int = 40, channels: int = 3, n: int = 2) -> torch.Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def authors(monkeypatch):
    """The authors' code, without two packages that it imports and does not need."""
    for name, attribute in (("torchsummary", "summary"), ("IPython", "embed")):
        stand_in = ModuleType(name)
        setattr(stand_in, attribute, None)
        monkeypatch.setitem(sys.modules, name, stand_in)
    from stlpips_pytorch.stlpips import LPIPS

    return LPIPS


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_st_lpips_is_that_of_its_authors(authors, trunk):
    x, made = pictures(0), pictures(1)
    with torch.no_grad():
        theirs = authors(net=trunk, variant="shift_tolerant", verbose=False)(2 * x - 1, 2 * made - 1)
        ours = DISTANCES[f"st_lpips_{trunk}"]
        torch.testing.assert_close(ours.read(*ours.find())(x, made), theirs.flatten(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", THERE)
def test_a_distance_is_0_for_the_same_symmetric_and_grows_with_blur(name):
    x = torch.nn.functional.interpolate(pictures(0, 12), scale_factor=4)
    blurred = [torch.nn.functional.avg_pool2d(x, k, stride=1, padding=k // 2, count_include_pad=False) for k in (3, 7)]
    assert torch.equal(perceptual(name, x, x), torch.zeros(2))
    near, far = (perceptual(name, x, other) for other in blurred)
    assert (near > 0).all() and (far > near).all()
    torch.testing.assert_close(perceptual(name, blurred[1], x), far)


@pytest.mark.parametrize("name", THERE)
def test_grey_small_and_black_images_have_finite_distances_and_gradients(name):
    x, made = torch.zeros(2, 1, 20, 20), torch.zeros(2, 1, 20, 20).requires_grad_()
    found = load(name, CPU)(x, made)
    assert torch.equal(found.detach(), torch.zeros(2))
    (gradient,) = torch.autograd.grad((found + load(name, CPU)(pictures(0, 20, 1), made)).sum(), made)
    assert gradient.isfinite().all() and gradient.any()
    two = pictures(0, 32, 2), pictures(1, 32, 2)
    assert torch.equal(load(name, CPU)(*two), load(name, CPU)(*map(in_colours, two)))


def test_a_network_is_loaded_once_frozen_and_no_part_of_a_model():
    network = load("st_lpips_alex", CPU)
    assert load("st_lpips_alex", CPU) is network
    assert not any(parameter.requires_grad for parameter in network.parameters()) and not network.training
    assert network.digest == names.ST_LPIPS["alex"]


def test_a_blur_keeps_greys_and_halves_the_side():
    found = Blur(2)(torch.full((1, 2, 8, 8), 0.3))
    torch.testing.assert_close(found, torch.full((1, 2, 5, 5), 0.3))


@pytest.fixture
def random_lpips(tmp_path):
    """Files of torchvision's AlexNet and of heads, of random weights."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    trunk = alexnet(weights=None)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((64, 192, 384, 256, 256))}
    paths = tmp_path / "trunk.pth", tmp_path / "heads.pth"
    for path, state in zip(paths, (trunk.state_dict(), heads), strict=True):
        torch.save(state, path)
    return trunk.features.eval(), heads, paths


def test_lpips_compares_activations_after_the_five_relus(random_lpips):
    trunk, heads, paths = random_lpips
    x, made = pictures(0, 64), pictures(1, 64)
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    maps, total, taken = [(2 * images - 1 - shift) / scale for images in (x, made)], 0, 0
    with torch.no_grad():
        for layer in trunk:
            maps = [layer(each) for each in maps]
            if isinstance(layer, nn.ReLU):
                one, other = (torch.nn.functional.normalize(each, dim=1) for each in maps)
                total = total + ((one - other) ** 2 * heads[f"lin{taken}.model.1.weight"]).sum(1).mean((1, 2))
                taken += 1
        found = load_lpips("alex", *paths)(x, made)
    assert taken == 5
    torch.testing.assert_close(found, total)


def test_weights_are_found_by_digest_or_the_remedy_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("EVAE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    file = names.LPIPS["alex"][0][0]
    with pytest.raises(UserError, match=rf"{file} .* is not on this machine. It is to be had from .*EVAE_WEIGHTS"):
        DISTANCES["lpips_alex"].find()
    (tmp_path / file).write_bytes(b"something else")
    with pytest.raises(UserError, match=r"damaged or another file: its sha256 begins .* should begin 7be5be79"):
        DISTANCES["lpips_alex"].find()
    with pytest.raises(UserError, match=r"no-such-package, which is not installed: pip install 'evae\[perceptual\]'"):
        files.of_package("no-such-package", "weights.pth", "00", "perceptual")
    with pytest.raises(UserError, match="another version, or damaged"):
        files.of_package("stlpips-pytorch", "no/such.pth", "00", "perceptual")
    with pytest.raises(UserError, match="Repair the package stlpips-pytorch"):
        files.of_package("stlpips-pytorch", "stlpips_pytorch/utils.py", "00", "perceptual")


def test_a_missing_package_is_said_of_a_recipe_before_it_trains(monkeypatch):
    def missing(name):
        raise files.PackageNotFoundError(name)

    monkeypatch.setattr(files, "distribution", missing)
    with pytest.raises(UserError, match=r"pip install 'evae\[perceptual\]'"):
        Perceptual().check(32)
    with pytest.raises(UserError, match="unknown perceptual distance 'lpips'"):
        Perceptual(distance="lpips")


class Harmful:
    def __reduce__(self):
        return print, ("executed",)


def test_code_in_a_file_of_weights_is_refused(tmp_path, capsys):
    torch.save({"weight": Harmful()}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="no file of weights that can be read as data"):
        read(tmp_path / "weights.pth")
    assert "executed" not in capsys.readouterr().out


def test_every_distance_has_words_and_can_be_searched_for():
    from analysis.study.naming import label, unit
    from evae.search.objectives import directions

    for name in DISTANCES:
        assert directions()[f"rec_{name}"] == "min" and unit(f"rec_{name}") == "0 is identical"
    assert "ST-LPIPS" in label("rec_st_lpips_alex") and label("rec_lpips_vgg") == "reconstruction LPIPS (VGG16)"
    assert isinstance(load("efficientnet_features", CPU), PerceptualDistance)
