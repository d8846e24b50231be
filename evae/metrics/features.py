"""The networks and taps ("features") on whose activations Fréchet and kernel distances are taken.

A distance is only comparable on the same features, so every value carries their name, the digest of their
weights and the resize rule. Only the Inception network of the original FID gives columns named `fid` and
`kid`; every other network is its own metric (`fd_efficientnet_lite0_b10`).
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from threading import Lock

import torch
from torch import Tensor, nn

from evae.global_seed import global_seed
from evae.hardware import repeatable
from evae.metrics.names import DEFAULT_FEATURES, INCEPTION, features, features_column
from evae.recording.functions import replayed
from evae.signals import in_colours

BATCHES, BATCH = {"cpu": 64}, 512
"""Images at once on a CPU, whose caches they fit in, and on any other device, which is to be kept busy."""


class Features(nn.Module):
    """A frozen network that turns images into one row of features each.

    `column` is the name in metric columns, `digest` the sha256 of the weights' file, `resize` the rule that
    brings images to the network's size, in words, `dim` the number of features. A network that is `replayable` does
    all on the device: on CUDA it is recorded for chunks of each size, a shorter last one's too, since every trial has
    the same (`evae.recording`).
    """

    def __init__(
        self,
        name: str,
        dim: int,
        digest: str,
        resize: str,
        prepare: Callable,
        network: nn.Module,
        replayable: bool = False,
    ):
        super().__init__()
        self.replayable = replayable
        self.name, self.column, self.dim = name, features_column(name), dim
        self.digest, self.resize, self._prepare = digest, resize, prepare
        self.network = network.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Features (n, dim), float32, of images (n, c, h, w) in [0, 1], on the device of this module.

        Images are rounded to 8 bits first: the features are those of the picture as it would be saved. Grey
        images are repeated to three channels, and others are seen as false colours (`evae.signals.in_colours`).
        """
        device = next(self.network.parameters()).device
        with full_precision(device):
            chunks = images.split(BATCHES.get(device.type, BATCH))
            of = partial(replayed, self, self._chunk) if self.replayable else self._chunk
            return torch.cat([of(chunk.to(device)) for chunk in chunks])

    def _chunk(self, images: Tensor) -> Tensor:
        images = in_colours(images.float()).mul(255).round_().clamp_(0, 255).div_(255)
        x = self._prepare(images.expand(-1, 3, -1, -1))
        # Channels last is what convolution libraries compute in: about a tenth faster on a CPU.
        return self.network(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))


def load_features(name: str = DEFAULT_FEATURES, device: torch.device | str = "cpu") -> Features:
    """The features of that name on `device`.

    Raises UserError for an unknown name, and for weights that can neither be found nor downloaded.
    """
    repeatable(torch.device(device))
    with global_seed(0):
        return features[name]().to(device)


def frechet_column(features: Features, prefix: str) -> str:
    """A Fréchet distance's column: `gen_fd_efficientnet_lite0_b10`; on Inception's `gen_fid`."""
    return f"{prefix}_fid" if features.name == INCEPTION else f"{prefix}_fd_{features.column}"


def kernel_column(features: Features, prefix: str) -> str:
    """A kernel distance's column: `gen_kd_efficientnet_lite0_b10`; on Inception's `gen_kid`."""
    return f"{prefix}_kid" if features.name == INCEPTION else f"{prefix}_kd_{features.column}"


_COUNTING = Lock()
_INSIDE: list[list[str]] = []
"""As often as a thread is inside of `full_precision`, what was before the first of them."""


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Convolutions in IEEE float32: no TF32, no autocast, whatever the surrounding code has switched on.

    Threads may be in here at once, and leave in any order: what was before comes back with the last."""
    convolutions = (torch.backends.cudnn.conv, torch.backends.mkldnn.conv)
    with _COUNTING:
        _INSIDE.append(_INSIDE[0] if _INSIDE else [library.fp32_precision for library in convolutions])
        for library in convolutions:
            library.fp32_precision = "ieee"
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        with _COUNTING:
            before = _INSIDE.pop()
            if not _INSIDE:
                for library, precision in zip(convolutions, before, strict=True):
                    library.fp32_precision = precision
