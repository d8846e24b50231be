import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from evae.metrics import reference as module
from evae.metrics.features import Features
from evae.metrics.frechet import Moments, frechet_distance, kernel_distance
from evae.metrics.reference import Reference, distance_identity, reference, references
from evae.metrics.sharpness import sharpness


@pytest.fixture(scope="module")
def images(digits: torch.Tensor) -> np.ndarray:
    return digits.numpy()


@pytest.fixture(scope="module")
def found(images: np.ndarray, features: Features) -> Reference:
    return reference(images[:100], images[100:], features, cache=None)


def same(a: Reference, b: Reference) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.arrays().values(), b.arrays().values(), strict=True))


def test_statistics_are_those_of_the_images(found: Reference, images: np.ndarray, features: Features):
    x = torch.from_numpy(images[:100]).float() / 255
    moments = Moments()
    moments.update(features(x))
    assert found.n == 100
    assert frechet_distance(moments, found.moments) == pytest.approx(0, abs=1e-3)
    assert found.sharpness == pytest.approx(sharpness(x).mean().item(), rel=1e-6)
    torch.testing.assert_close(torch.from_numpy(found.features), features(x))


def test_the_floor_is_taken_on_as_many_other_images(found: Reference, images: np.ndarray, features: Features):
    """It is a typical distance of real images from real images, far below that of degraded ones."""
    assert int(found.floor_n) == 100
    noisy = Moments()
    noise = 0.2 * torch.randn(100, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    noisy.update(features((torch.from_numpy(images[:100]) / 255 + noise).clamp(0, 1)))
    assert 0 < 10 * found.floor < frechet_distance(noisy, found.moments)
    few = reference(images[:100], images[100:150], features, cache=None)
    assert int(few.floor_n) == 50
    assert few.floor > found.floor


def test_training_images_are_drawn_once_for_all_splits(images: np.ndarray, features: Features, monkeypatch):
    """At most so many, of all that there are; each split's distances are its own."""
    monkeypatch.setattr(module, "TRAIN_IMAGES", 150)
    seen = []
    extract = module._extract
    monkeypatch.setattr(
        module, "_extract", lambda images, features: seen.append(len(images)) or extract(images, features)
    )
    found = references({"validation": images[:20], "test": images[20:50]}, images[100:], features, cache=None)
    assert sorted(seen) == [20, 20, 30, 30, 150]
    a, b = found.values()
    assert a.train is b.train and a.train.shape == (150, features.dim) and float(a.train_share) == 150 / 500
    assert a.train_distance != b.train_distance > 0


def test_training_images_are_as_near_to_themselves_as_can_be(found: Reference):
    assert float(found.train_share) == 1
    assert found.distance_to_train(torch.from_numpy(found.train)) == pytest.approx(0, abs=1e-4)
    assert found.distance_to_train(torch.from_numpy(found.features)) == found.train_distance > 0.1


def test_the_cache_gives_back_what_was_measured(
    tmp_path: Path, found: Reference, images: np.ndarray, features: Features
):
    measured = reference(images[:100], images[100:], features, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    cached = reference(images[:100], images[100:], features, cache=tmp_path)
    assert same(measured, found)
    assert same(cached, found)
    assert file.stat().st_mtime_ns == written


def test_other_images_are_other_statistics(tmp_path: Path, images: np.ndarray, features: Features):
    reference(images[:20], images[100:], features, cache=tmp_path)
    changed = images[:20].copy()
    changed[0, 0, 0, 0] ^= 1
    reference(changed, images[100:], features, cache=tmp_path)
    reference(images[:20], images[200:], features, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"not a safetensors file", None])
def test_a_damaged_cache_file_is_replaced(tmp_path: Path, images: np.ndarray, features: Features, damage: bytes | None):
    measured = reference(images[:20], images[100:], features, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert same(reference(images[:20], images[100:], features, cache=tmp_path), measured)
    assert file.read_bytes() == whole


def test_an_unusable_cache_does_not_stop_a_study(tmp_path: Path, images: np.ndarray, features: Features):
    blocked = tmp_path / "a-file"
    blocked.touch()
    assert reference(images[:20], images[100:], features, cache=blocked / "cache").n == 20


def test_a_reference_travels_light(found: Reference):
    """The moments made on arrival are not sent; arrays that arrive read-only are usable."""
    assert found.moments.count == found.n
    sent = pickle.dumps(found)
    arrived = pickle.loads(sent)
    assert len(sent) < sum(a.nbytes for a in found.arrays().values()) + 2000
    for array in arrived.arrays().values():
        array.setflags(write=False)
    assert same(arrived, found)
    torch.testing.assert_close(arrived.moments.covariance, found.moments.covariance)


@pytest.mark.parametrize("kind", ["gen", "rec"])
@pytest.mark.parametrize("kernel", [False, True])
def test_the_identity_names_all_that_values_depend_on(found: Reference, features: Features, kind: str, kernel: bool):
    identity = distance_identity(features, found, kind=kind, kernel=kernel, n_generated=90, split="test", seed=3)
    assert identity["features"] == features.name
    assert identity["digest"].startswith("57934424")
    assert (identity["n_real"], identity["n_generated"], identity["floor_n"]) == (100, 90, 100)
    assert set(identity) >= {"resize", "split", "seed", "pairs"}


def test_only_a_frechet_distance_of_samples_has_a_floor_above_zero(found: Reference, features: Features):
    """Reconstructions are of the same images; an unbiased kernel distance of real images scatters around 0."""
    floors = {}
    for kind in ("gen", "rec"):
        for kernel in (False, True):
            identity = distance_identity(features, found, kind=kind, kernel=kernel, n_generated=9, split="test", seed=0)
            floors[kind, kernel] = identity["floor"], identity["floor_sd"]
    assert floors == {
        ("gen", False): (found.floor, None),
        ("gen", True): (0, float(found.kd_sd)),
        ("rec", False): (0, None),
        ("rec", True): (0, None),
    }


def test_the_kernel_distance_of_real_images_scatters_around_zero_by_what_the_reference_says(
    found: Reference, images: np.ndarray, features: Features
):
    rows, order = features(torch.from_numpy(images).float() / 255), torch.Generator().manual_seed(0)
    halves = [rows[torch.randperm(600, generator=order)[:200]].split(100) for _ in range(60)]
    drawn = [kernel_distance(*pair, torch.Generator()) for pair in halves]
    assert abs(np.mean(drawn)) < 4 * np.std(drawn, ddof=1) / np.sqrt(60)
    assert float(found.kd_sd) == pytest.approx(np.std(drawn, ddof=1), rel=0.4)
