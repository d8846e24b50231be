"""The layout that diffusers' `AutoencoderKL.from_pretrained` loads, for models that are that architecture.

    config.json, diffusion_pytorch_model.safetensors    diffusers': the networks
    evae.json, evae.safetensors                         ours: the recipe, and what diffusers has no place for

Ours are pictures in [0, 1], theirs in [-1, 1]; the networks are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from evae.checkpoints import Kept
from evae.errors import UserError

NETWORKS, REST = "diffusion_pytorch_model.safetensors", "evae.safetensors"
CONFIG, OURS = "config.json", "evae.json"
THEIRS = {
    "model.encoder.maps.": "encoder.",
    "model.encoder.quant_conv.": "quant_conv.",
    "model.decoder.maps.": "decoder.",
    "model.decoder.post_quant_conv.": "post_quant_conv.",
}
"""How names of ours begin, and those of diffusers in their place."""
VERSION = "0.42.1"
"""Of diffusers: the one that was tried."""
KNOWN = "encoder and decoder of the Stable Diffusion VAE"


def config(kept: Kept, scale: float = 1.0, shift: float = 0.0) -> dict[str, Any] | str:
    """diffusers' config of the model, or why it has none. Codes are to be scaled as (code - shift) * scale."""
    found = kept.recipe.network.autoencoder_kl(kept.channels, kept.recipe.latent)
    if found is None:
        return f"its networks are not {KNOWN} in a form that diffusers has"
    outputs = torch.linspace(-3, 3, 7).view(1, 1, 1, 7)
    if not torch.allclose(kept.model.likelihood.images(outputs), (outputs + 1) / 2):
        return f"the likelihood {kept.recipe.likelihood.family} reads its outputs as no pixels in [-1, 1]"
    if not _is_gaussian(kept):
        return f"the codes of its posterior {kept.recipe.posterior.family} are no Gaussians by mean and log variance"
    return {
        "_class_name": "AutoencoderKL",
        "_diffusers_version": VERSION,
        **found,
        "sample_size": kept.image_size,
        "scaling_factor": scale,
        "shift_factor": shift,
    }


def _is_gaussian(kept: Kept) -> bool:
    """Whether the encoder's outputs are the mean and the log variance of each number."""
    posterior = kept.model.posterior
    if posterior.heads != 2:
        return False
    heads = torch.linspace(-3, 3, 2 * kept.model.latent)[None]
    mean, log_variance = heads.chunk(2, dim=1)
    found = posterior.mean(heads), posterior.std(heads)
    return all(torch.allclose(one, two) for one, two in zip(found, (mean, torch.exp(log_variance / 2)), strict=True))


def to_files(weights: bytes) -> dict[str, bytes]:
    """A weights file as the two files of this layout, by name."""
    tensors, metadata = load(weights), _metadata(weights)
    networks = {_renamed(name, THEIRS): value for name, value in tensors.items() if _renamed(name, THEIRS) != name}
    rest = {name: value for name, value in tensors.items() if _renamed(name, THEIRS) == name}
    return {NETWORKS: save(networks, {"format": "pt"}), REST: save(rest, metadata)}


def from_files(folder: Path) -> bytes:
    """The weights file that two such files were made of, byte for byte. Raises UserError where one is damaged."""
    ours = {theirs: name for name, theirs in THEIRS.items()}
    try:
        rest = (folder / REST).read_bytes()
        networks = load((folder / NETWORKS).read_bytes())
        return save(load(rest) | {_renamed(name, ours): value for name, value in networks.items()}, _metadata(rest))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"the weights of {folder} cannot be read ({error}): export the model again.") from None


def _metadata(data: bytes) -> dict[str, str]:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


def _renamed(name: str, prefixes: Mapping[str, str]) -> str:
    for before, after in prefixes.items():
        if name.startswith(before):
            return after + name.removeprefix(before)
    return name
