"""What is computed again for gradients gives the same numbers, and takes less memory."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from tiny import adversarial_recipe, tiny_images, tiny_recipe

from evae import hardware
from evae.errors import UserError
from evae.live_tensors import LiveTensors
from evae.networks import LiteVae, ResNetV2
from evae.posteriors import Gaussian
from evae.study.trials import _check_builds
from evae.training import Training

IMAGES = tiny_images(train=12, validation=4, test=4)
LITE = LiteVae(size="S", width=0.2, decoder_width=0.03125)
RECIPES = {
    "residual in bf16, with ema": replace(tiny_recipe(precision="bf16", ema=0.8), network=ResNetV2(width=0.05)),
    "residual with BatchNorm": replace(tiny_recipe(), network=ResNetV2(width=0.05, normalisation="batch")),
    "code maps": replace(tiny_recipe(batch_size=6, epochs=1), network=LITE),
    "adversarial": replace(adversarial_recipe(Gaussian()), network=ResNetV2(width=0.05)),
}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Of several, sums do not always come in one order when a block is computed twice."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", RECIPES)
def test_the_numbers_are_the_same_to_the_last_bit(name, one_thread):
    kept, again = (Training(RECIPES[name], IMAGES, recomputes=how) for how in (False, True))
    for _ in range(min(2, RECIPES[name].optimisation.epochs)):
        rows = [training.train_epoch() | training.validate() for training in (kept, again)]
        for row in rows:
            del row["train_s"], row["images_per_s"]
        assert rows[0] == rows[1]
    for side in ("model", "trained"):
        mine, other = (getattr(training, side).state_dict() for training in (again, kept))
        # Running statistics of training itself, which nothing is computed with, have seen each batch twice.
        names = [n for n in other if side == "model" or not n.endswith(("running_mean", "running_var", "tracked"))]
        assert mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in names)


def test_it_takes_less_memory():
    peaks = []
    for how in (False, True):
        training = Training(RECIPES["code maps"], IMAGES, recomputes=how)
        with LiveTensors() as live:
            training.train_epoch()
        peaks.append(live.peak)
    assert peaks[1] < 0.7 * peaks[0]


def test_networks_without_blocks_are_refused_before_any_training():
    _check_builds([RECIPES["code maps"]], IMAGES, recomputes=True)
    with pytest.raises(UserError, match="conv networks have no blocks that can be recomputed"):
        _check_builds([RECIPES["code maps"], tiny_recipe()], IMAGES, recomputes=True)


def test_on_cuda_kernels_are_to_be_repeatable_and_float32_whole():
    libraries = torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.cuda.matmul

    def flags() -> tuple[bool, ...]:
        return torch.backends.cudnn.deterministic, *(library.fp32_precision for library in libraries)

    deterministic, *precisions = before = flags()
    try:
        hardware.repeatable(torch.device("cpu"))
        assert flags() == before
        hardware.repeatable(torch.device("cuda"))
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cudnn.deterministic = deterministic
        for library, precision in zip(libraries, precisions, strict=True):
            library.fp32_precision = precision


@pytest.mark.gpu
def test_on_a_gpu_the_same_seed_gives_the_same_weights():
    first, second = (Training(replace(tiny_recipe(), network=LITE), IMAGES, "cuda") for _ in range(2))
    for _ in range(2):
        first.train_epoch(), second.train_epoch()
    other = second.model.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in first.model.state_dict().items())
