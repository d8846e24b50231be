"""The codes of a data set as shards: what they are, how they are scaled, and that a stopped run loses nothing."""

import io
import json
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file
from tiny import labelled, tiny_images, tiny_recipe
from torch import nn
from webdataset import tariterators

from evae import encode as command
from evae.checkpoints import Kept, dump_model
from evae.data import batch
from evae.encoding.job import Job, encode
from evae.errors import UserError
from evae.models import build_model
from evae.networks.base import Network
from evae.posteriors.gaussian import Gaussian

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Maps(Network):
    """Code maps of 2 x 2 pixels."""

    family = "maps-of-a-test"

    def code_shape(self, image_size: int, latent: int) -> tuple[int, ...]:
        return latent, 2, 2

    def build(self, image_size: int, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        encoder = nn.Sequential(nn.Conv2d(channels, heads * latent, 16, 16), nn.Flatten())
        return encoder, nn.Sequential(nn.Unflatten(1, (latent, 2, 2)), nn.ConvTranspose2d(latent, channels, 16, 16))


def kept(network: Network | None = None) -> Kept:
    recipe = tiny_recipe(Gaussian())
    model = build_model(recipe.posterior, network or recipe.network, 32, 1, recipe.latent, seed=0)
    return Kept(model.eval(), recipe, 32, 1, "0123456789abcdef")


@pytest.fixture(scope="module")
def images():
    return labelled(tiny_images(train=230, validation=101, test=30))


def silent(_: str) -> None:
    pass


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@torch.no_grad()
@pytest.mark.parametrize("network", [None, Maps()])
def test_codes_are_the_means_of_all_images_in_their_shape(images, tmp_path, network):
    job = Job(kept(network), images, per_shard=100)
    about = encode(job, tmp_path, CPU, silent)
    files = about["splits"]["train"]["files"]
    found = [load_file(tmp_path / name) for name in files]
    codes = np.concatenate([each["codes"] for each in found])
    model = job.kept.model
    wanted = model.posterior.mean(model.encode(batch(images.train, slice(None), CPU))).unflatten(1, model.code_shape)
    assert codes.shape == (230, *((3,) if network is None else (3, 2, 2))) and len(files) == 3
    np.testing.assert_allclose(codes, wanted.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(np.concatenate([each["labels"] for each in found]), images.labels.train)
    with safe_open(tmp_path / files[1], framework="numpy") as file:
        said = json.loads(file.metadata()["evae"])
    assert said["first"] == 100 and said["data"]["digest"] == images.digest


@pytest.mark.parametrize("network", [None, Maps()])
def test_scaled_codes_of_training_images_have_mean_0_and_variance_1_in_every_channel(images, tmp_path, network):
    about = encode(Job(kept(network), images, code="sample", per_shard=100), tmp_path, CPU, silent)
    codes = np.concatenate([load_file(tmp_path / name)["codes"] for name in about["splits"]["train"]["files"]])
    shape = (-1, *(1,) * (codes.ndim - 2))
    scaled = (codes - np.reshape(about["shift"], shape)) * np.reshape(about["scale"], shape)
    axes = (0, *range(2, codes.ndim))
    np.testing.assert_allclose(scaled.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axes), 1, rtol=1e-5)


def test_a_channel_that_says_nothing_keeps_its_scale(images, tmp_path):
    one = kept()
    for parameter in one.model.encoder[-1].parameters():
        nn.init.zeros_(parameter)
    assert encode(Job(one, images), tmp_path, CPU, silent)["scale"] == [1, 1, 1]


def test_the_webdataset_library_reads_codes_and_classes_in_their_order(images, tmp_path):
    one = kept(Maps())
    encode(Job(one, images, form="webdataset", per_shard=100), tmp_path, CPU, silent)
    encode(Job(one, images, per_shard=1000), tmp_path / "whole", CPU, silent)
    codes = load_file(tmp_path / "whole" / "train-000000.safetensors")["codes"]
    given = [sample for path in sorted(tmp_path.glob("train-*.tar")) for sample in samples(path)]
    assert [sample["__key__"] for sample in given] == [f"{number:09d}" for number in range(len(images.train))]
    np.testing.assert_array_equal(np.stack([np.load(io.BytesIO(sample["npy"])) for sample in given]), codes)
    assert [int(sample.get("cls", -1)) for sample in given] == images.labels.train.tolist()


def samples(path: Path) -> list[dict]:
    """Of a shard, by the library's own reader, which leaves open what it has opened itself."""
    with open(path, "rb") as file:
        files = tariterators.tar_file_expander([{"stream": file, "url": str(path)}])
        return list(tariterators.group_by_keys(files))


def test_archives_hold_what_the_other_format_holds_under_names_that_webdataset_reads(images, tmp_path):
    one = kept(Maps())
    tensors = encode(Job(one, images, per_shard=200), tmp_path / "s", CPU, silent)
    archives = encode(Job(one, images, form="webdataset", per_shard=200), tmp_path / "w", CPU, silent)
    assert archives["shift"] == pytest.approx(tensors["shift"])
    with tarfile.open(tmp_path / "w" / "train-000001.tar") as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}
    codes = load_file(tmp_path / "s" / "train-000001.safetensors")["codes"]
    assert [name for name in files if name.endswith(".npy")] == [f"{number:09d}.npy" for number in range(200, 230)]
    np.testing.assert_array_equal(np.load(io.BytesIO(files["000000205.npy"])), codes[5])
    assert files["000000205.cls"] == str(images.labels.train[205]).encode()
    assert "000000200.cls" not in files and images.labels.train[200] == -1


@pytest.mark.parametrize("form", ["safetensors", "webdataset"])
def test_a_run_that_was_stopped_goes_on_and_comes_out_the_same(images, tmp_path, form):
    job = Job(kept(), images, code="sample", seed=5, form=form, per_shard=100)
    encode(job, tmp_path / "whole", CPU, silent)
    whole, stopped, said = content(tmp_path / "whole"), tmp_path / "stopped", []

    class Stop(Exception):
        pass

    model, calls = job.kept.model, []
    encoder = model.encode

    def stop(x):
        calls.append(len(x))
        if len(calls) == 3:
            raise Stop
        return encoder(x)

    model.encode = stop
    with pytest.raises(Stop):
        encode(job, stopped, CPU, silent)
    del model.encode
    assert json.loads((stopped / "codes.json").read_text())["complete"] is False
    left = {name: data for name, data in content(stopped).items() if name != "codes.json"}
    assert len(left) == 2 and left.items() <= whole.items()
    (stopped / ".train-000002.abc.part").write_bytes(b"half")
    encode(job, stopped, CPU, said.append)
    assert content(stopped) == whole and said[0] == "200 of 361 images are encoded already"
    before = {path: path.stat().st_mtime_ns for path in stopped.glob("*-*")}
    encode(job, stopped, CPU, silent)
    assert {path: path.stat().st_mtime_ns for path in stopped.glob("*-*")} == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"code": "sample"}, "code: mean there, sample now"),
        ({"form": "webdataset"}, "file_format: safetensors there"),
        ({"per_shard": 200}, "shard_size: 1000 there, 200 now"),
        ({"images": tiny_images(train=30)}, "data: "),
        ({"kept": replace(kept(), digest="f" * 16)}, "model: 0123456789abcdef there, ffffffffffffffff now"),
    ],
)
def test_codes_of_something_else_are_left_alone(images, tmp_path, change, says):
    job = Job(kept(), images)
    encode(job, tmp_path, CPU, silent)
    before = content(tmp_path)
    with pytest.raises(UserError, match=says):
        encode(replace(job, **change), tmp_path, CPU, silent)
    assert content(tmp_path) == before


@pytest.mark.parametrize("form", ["safetensors", "webdataset"])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b""])
def test_a_damaged_shard_is_named(images, tmp_path, form, damage):
    job = Job(kept(), images, form=form)
    encode(job, tmp_path, CPU, silent)
    (shard,) = tmp_path.glob("validation-*")
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(UserError, match=f"{shard.name} (cannot be read|holds codes).*remove it"):
        encode(job, tmp_path, CPU, silent)
    shard.unlink()
    encode(job, tmp_path, CPU, silent)


def test_a_folder_of_other_things_is_left_alone(images, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="is not empty"):
        encode(Job(kept(), images), tmp_path, CPU, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_that_was_killed_before_its_first_file_goes_on(images, tmp_path):
    (tmp_path / ".codes.json.abc.part").write_bytes(b"half")
    encode(Job(kept(), images), tmp_path, CPU, silent)
    assert json.loads((tmp_path / "codes.json").read_text())["complete"]


def test_codes_that_are_no_numbers_are_refused_with_the_image(images, tmp_path):
    one = kept()
    nn.init.constant_(one.model.encoder[-1].bias, torch.inf)
    with pytest.raises(UserError, match="the code of train image 0 is no finite number"):
        encode(Job(one, images), tmp_path, CPU, silent)


@pytest.mark.parametrize(
    ("given", "says"),
    [({"code": "means"}, "Did you mean 'mean'"), ({"form": "tar"}, "unknown format"), ({"per_shard": 150}, "multiple")],
)
def test_unknown_words_are_refused(images, given, says):
    with pytest.raises(UserError, match=says):
        Job(kept(), images, **given)


def test_the_command_encodes_other_pictures_in_the_shape_that_the_model_takes(tmp_path, capsys):
    recipe = tiny_recipe(Gaussian())
    model = build_model(recipe.posterior, recipe.network, 32, 1, recipe.latent, seed=0)
    (tmp_path / "model.safetensors").write_bytes(dump_model(model, recipe, 32, 1))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{number}.png")
    command.main(str(tmp_path / "model.safetensors"), tmp_path / "codes", data=f"folder:{pictures}")
    about = json.loads((tmp_path / "codes" / "codes.json").read_text())
    assert about["data"]["channels"] == 1 and about["data"]["image_size"] == 32 and about["complete"]
    assert sum(split["n"] for split in about["splits"].values()) == 24
    assert "codes of 3, of train / validation / test images" in capsys.readouterr().out


def test_what_is_wrong_is_said_before_the_images_are_read(tmp_path):
    (tmp_path / "thesis.tex").touch()
    for given, says in (
        ({"format": "tar"}, "unknown format"),
        ({"shard_size": 7}, "must be a multiple"),
        ({}, "is not empty"),
    ):
        with pytest.raises(UserError, match=says):
            command.main("absent.safetensors", tmp_path, data="folder:/absent", **given)


def test_points_are_refused_where_the_model_takes_images(tmp_path):
    recipe = tiny_recipe(Gaussian())
    model = build_model(recipe.posterior, recipe.network, 32, 1, recipe.latent, seed=0)
    (tmp_path / "model.safetensors").write_bytes(dump_model(model, recipe, 32, 1))
    with pytest.raises(UserError, match="a model of images, and points:arc is points: give it images"):
        command.main(str(tmp_path / "model.safetensors"), tmp_path / "codes", data="points:arc")
    assert not (tmp_path / "codes").exists()
