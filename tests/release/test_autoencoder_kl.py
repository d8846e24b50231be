"""A Stable Diffusion VAE exported: the real diffusers loads it and computes what ours does."""

import json

import pytest
import torch
from safetensors import safe_open

from evae import export
from evae.autoencoder_kl import NETWORKS, config
from evae.checkpoints import dump_model, read_kept
from evae.encoding.scaling import Scaling, read_scaling
from evae.errors import UserError
from evae.likelihoods import Bernoulli, Laplace
from evae.models import build_model
from evae.networks import LiteVae, SdVae
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.laplace import Laplace as LaplacePosterior
from evae.pretrained import from_pretrained, open_model
from evae.recipe import Recipe

SMALL = {"width": 0.25, "decoder_width": 0.25}
PARTS = {"network": SdVae(**SMALL), "posterior": Gaussian(), "likelihood": Laplace(), "latent": 4}


def weights(**parts) -> bytes:
    recipe = Recipe(**(PARTS | parts))
    model = build_model(recipe.posterior, recipe.network, 32, 3, recipe.latent, seed=0, likelihood=recipe.likelihood)
    return dump_model(model, recipe, 32, 3)


def exported(tmp_path, codes=None, **parts):
    (tmp_path / "model.safetensors").write_bytes(weights(**parts))
    export.main(str(tmp_path / "model.safetensors"), tmp_path / "out", codes=codes)
    return tmp_path / "out"


@pytest.mark.filterwarnings("ignore")  # of what diffusers imports
@torch.no_grad()
@pytest.mark.parametrize(("one_by_one", "downsampling"), [(False, 8), (True, 4)])
def test_diffusers_loads_it_and_computes_the_same(tmp_path, one_by_one, downsampling):
    from diffusers import AutoencoderKL

    network = SdVae(**SMALL, one_by_one=one_by_one, downsampling=downsampling)
    folder = exported(tmp_path, network=network)
    ours, theirs = from_pretrained(folder), AutoencoderKL.from_pretrained(folder, local_files_only=True)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    heads, found = ours.encode(x), theirs.encode(2 * x - 1).latent_dist
    assert found.mean.shape == (2, *ours.code_shape)
    torch.testing.assert_close(found.mean.flatten(1), ours.posterior.mean(heads), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.std.flatten(1), ours.posterior.std(heads), rtol=1e-3, atol=1e-3)
    pixels = (theirs.decode(found.mean).sample + 1) / 2
    torch.testing.assert_close(pixels.clamp(0, 1), ours.reconstruct(x), rtol=1e-3, atol=1e-3)
    assert theirs.config.scaling_factor == 1.0 and "AutoencoderKL.from_pretrained" in (folder / "README.md").read_text()


def test_ours_comes_back_byte_for_byte(tmp_path):
    folder = exported(tmp_path)
    assert open_model(folder).digest == open_model(tmp_path / "model.safetensors").digest
    with safe_open(folder / NETWORKS, "pt") as file:
        assert file.metadata() == {"format": "pt"}


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"network": SdVae(width=1 / 16, decoder_width=1 / 16)}, "its networks are not"),  # groups of 8, 16 and 32
        ({"network": SdVae(width=0.25, decoder_width=0.5)}, "its networks are not"),
        ({"network": SdVae(**SMALL, decoder_normalisation="smc")}, "its networks are not"),
        ({"network": LiteVae(size="S", width=0.5, decoder_width=0.25)}, "its networks are not"),
        ({"likelihood": Bernoulli()}, "the likelihood bernoulli"),
        ({"posterior": Autoencoder()}, "its posterior autoencoder"),
        ({"posterior": LaplacePosterior()}, "its posterior laplace"),
    ],
)
def test_what_diffusers_does_not_have_is_said(parts, why):
    assert why in config(read_kept(weights(**parts), "these"))


def test_what_diffusers_does_not_have_is_exported_in_our_layout_and_the_card_says_why(tmp_path):
    network = LiteVae(size="S", width=0.5, decoder_width=1 / 16)
    folder = exported(tmp_path, network=network)
    assert (folder / "model.safetensors").is_file() and not (folder / NETWORKS).exists()
    assert "no AutoencoderKL of diffusers: its networks are not" in (folder / "README.md").read_text()
    from_pretrained(folder)


def codes(tmp_path, **change):
    digest = read_kept(weights(), "these").digest
    about = {"model": {"weights_sha256": digest}, "complete": True, "shift": [0, 0, 2, 2], "scale": [1, 0.5, 1, 0.5]}
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "codes.json").write_text(json.dumps(about | change))
    return tmp_path / "codes"


def test_the_scale_is_that_of_codes_of_this_model(tmp_path):
    theirs = json.loads((exported(tmp_path, codes(tmp_path)) / "config.json").read_text())
    # Four channels alike: the variance of all is the mean of theirs, 2.5, and that of their means, 1.
    assert (theirs["shift_factor"], theirs["scaling_factor"]) == (1.0, pytest.approx(3.5**-0.5))
    assert json.loads((tmp_path / "out" / "evae.json").read_text())["scale"] == [1, 0.5, 1, 0.5]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"complete": False}, "not complete"),
        ({"model": {"weights_sha256": "x"}}, "another model"),
        ({"model": 1}, "holds no codes that evae.encode wrote"),
        ({"shift": None}, "holds no codes that evae.encode wrote"),
    ],
)
def test_other_codes_are_refused(tmp_path, change, says):
    with pytest.raises(UserError, match=says):
        read_scaling(codes(tmp_path, **change), read_kept(weights(), "these").digest)


def test_a_file_that_is_cut_off_is_said(tmp_path):
    folder = exported(tmp_path)
    (folder / NETWORKS).write_bytes((folder / NETWORKS).read_bytes()[:-10])
    with pytest.raises(UserError, match="cannot be read"):
        from_pretrained(folder)


def test_overall_scaling_is_that_of_all_numbers_together():
    torch.manual_seed(0)
    drawn = torch.randn(500, 3, 8) * torch.tensor([1.0, 2, 3])[:, None] + torch.tensor([0.0, 5, -1])[:, None]
    means, stds = drawn.mean((0, 2)), drawn.std((0, 2), correction=0)
    shift, scale = Scaling(tuple(means.tolist()), tuple((1 / stds).tolist())).overall
    assert shift == pytest.approx(float(drawn.mean()), rel=1e-4)
    assert 1 / scale == pytest.approx(float(drawn.std(correction=0)), rel=1e-4)
