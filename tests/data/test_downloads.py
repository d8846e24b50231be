"""Files that are there, damaged, mistaken for others, or to be fetched over a real connection."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from later import Later
from small_sets import idx, noise, write_celeba, write_mnist

from evae.data import DataRecipe, celeba, download, load, mnist
from evae.data.idx import read_idx
from evae.errors import UserError

datasets = Later("torchvision.datasets")
FEW = {"validation_images": 5}


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_is_read_back(tmp_path, ending):
    images = noise(3, 28, 28)
    path = tmp_path / f"images{ending}"
    path.write_bytes(gzip.compress(idx(images)) if ending else idx(images))
    assert np.array_equal(read_idx(path), images[:, None])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an IDX file"),
        (idx(noise(3, 28, 28))[:10], "not an IDX file"),
        (idx(noise(3, 28, 28))[:-1], "2,367 bytes instead of 2,368"),
        (idx(noise(3, 28, 28)) + b"x", "2,369 bytes instead of 2,368"),
        (idx(noise(60)), "not an IDX file of images"),
        (b"<html>not found</html>", "not an IDX file"),
    ],
)
def test_idx_of_another_length_or_kind_is_refused(tmp_path, content, said):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_idx(path)


@pytest.mark.parametrize("kept", [0, 1, 12, 500, 1000, -8, -1])
def test_gz_that_is_cut_short_is_refused_by_name(tmp_path, kept):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(noise(3, 28, 28)))[:kept])
    with pytest.raises(UserError, match=r"images\.gz.*fetch it again"):
        read_idx(path)


def test_gz_with_a_flipped_bit_is_refused(tmp_path):
    content = bytearray(gzip.compress(idx(noise(3, 28, 28))))
    content[len(content) // 2] ^= 4
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="fetch it again"):
        read_idx(path)


def test_files_may_lie_in_the_root_itself(tmp_path):
    write_mnist(tmp_path / "flat", compressed=True, seed=3)
    assert len(load(DataRecipe(source="mnist", **FEW), tmp_path / "flat").train) == 295


def test_the_other_sets_files_are_refused(tmp_path, monkeypatch):
    """MNIST and Fashion-MNIST have files of the same names."""
    write_mnist(tmp_path / "flat", compressed=False, seed=3)
    pixels = read_idx(tmp_path / "flat" / "train-images-idx3-ubyte")
    monkeypatch.setitem(mnist.ORIGINALS, hashlib.sha256(pixels.tobytes()).hexdigest(), "fashion-mnist")
    assert load(DataRecipe(source="fashion-mnist", **FEW), tmp_path / "flat").train.shape == (295, 1, 32, 32)
    with pytest.raises(UserError, match="flat holds fashion-mnist, not mnist: move its files to"):
        load(DataRecipe(source="mnist", **FEW), tmp_path / "flat")


@pytest.mark.skipif(not mnist.DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_fashion_mnist_of_the_debian_package(tmp_path):
    images = load(DataRecipe(source="fashion-mnist", image_size=28), tmp_path)
    assert (len(images.train), len(images.validation), len(images.test)) == (59_500, 500, 10_000)
    assert not any("not the original" in note for note in images.notes)


@pytest.fixture
def direct(monkeypatch):
    """Connections to this machine go through no proxy, and it may take its time."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "TIMEOUT_S", 600.0)


@pytest.fixture
def no_web(monkeypatch):
    """Every connection to the web is refused: it would go through a port at which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setattr(mnist, "DEBIAN", Path("/nowhere"))
        yield


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mnist", r"t10k-images-idx3-ubyte\.gz into \S+/mnist, or use mnist-5k"),
        ("fashion-mnist", "apt-get install dataset-fashion-mnist"),
        ("cifar10", r"Put cifar-10-python\.tar\.gz into"),
        ("celeba", r"unpack img_align_celeba\.zip there"),
    ],
)
def test_missing_data_without_the_web_says_what_to_put_where(name, said, tmp_path, no_web):
    with pytest.raises(UserError, match=said):
        load(DataRecipe(source=name), tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_host_that_accepts_and_stays_silent_is_given_up(tmp_path, monkeypatch, direct):
    monkeypatch.setattr(download, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(datasets.MNIST, "mirrors", [url])
        with pytest.raises(UserError, match=f"no answer from {url}"):
            load(DataRecipe(source="mnist"), tmp_path)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which this folder's files are served over HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_download_arrives_whole(tmp_path, monkeypatch, direct):
    write_mnist(tmp_path / "host", compressed=True, seed=4)
    files = sorted((tmp_path / "host").iterdir())
    sums = [(file.name, hashlib.md5(file.read_bytes()).hexdigest()) for file in files]
    monkeypatch.setattr(datasets.MNIST, "resources", sums)
    with served(tmp_path / "host") as url:
        monkeypatch.setattr(datasets.MNIST, "mirrors", [url])
        fetched = load(DataRecipe(source="mnist", **FEW), tmp_path / "root")
    assert fetched.digest == load(DataRecipe(source="mnist", **FEW), tmp_path / "host").digest
    assert fetched.digest == load(DataRecipe(source="mnist", **FEW), tmp_path / "root").digest


def test_a_download_that_fails_half_way_leaves_nothing_behind(tmp_path, monkeypatch, direct):
    write_mnist(tmp_path / "host", compressed=True, seed=4)
    files = sorted((tmp_path / "host").iterdir())
    sums = [(file.name, hashlib.md5(file.read_bytes()).hexdigest()) for file in files]
    files[-1].write_bytes(b"another file")
    monkeypatch.setattr(datasets.MNIST, "resources", sums)
    with served(tmp_path / "host") as url:
        monkeypatch.setattr(datasets.MNIST, "mirrors", [url])
        with pytest.raises(UserError, match=r"the download into .* failed .*Put train-images"):
            load(DataRecipe(source="mnist"), tmp_path / "root")
    assert not list((tmp_path / "root").iterdir())


def test_celeba_is_cut_and_scaled_as_torchvision_does(tmp_path):
    from PIL import Image
    from torchvision.transforms import CenterCrop, Compose, Resize

    write_celeba(tmp_path)
    images = load(DataRecipe(source="celeba", validation_images=4), tmp_path)
    as_usual = Compose([CenterCrop(140), Resize(64)])
    pixels = [
        np.asarray(as_usual(Image.open(file))).transpose(2, 0, 1).tobytes()
        for file in sorted((tmp_path / celeba.PICTURES).iterdir())
    ]
    found = {split: {image.tobytes() for image in getattr(images, split)} for split in ("train", "validation", "test")}
    assert found["train"] | found["validation"] == set(pixels[:24])
    assert found["test"] == set(pixels[24:34])


def test_celeba_decodes_only_what_is_asked_for(tmp_path):
    write_celeba(tmp_path)
    recipe = DataRecipe(source="celeba", validation_images=4, train_images=3, test_images=2)
    whole = load(recipe, tmp_path)
    raw = celeba.read(recipe, tmp_path)
    for path in raw.train.paths[7:] + raw.test.paths[2:]:
        path.unlink()
    assert load(recipe, tmp_path).digest == whole.digest
    raw.train.paths[5].write_bytes(raw.train.paths[5].read_bytes()[:2000])
    with pytest.raises(UserError, match=rf"{raw.train.paths[5].name} cannot be used .*unpack CelebA again"):
        load(recipe, tmp_path)
