"""The folder of an exported model, written beside its final name and renamed: whole, or not there."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import evae
from evae import autoencoder_kl
from evae.checkpoints import Kept
from evae.errors import UserError
from evae.evaluation.tiles import picture
from evae.home import expanded
from evae.pretrained import CONFIG, WEIGHTS
from evae.release.best import Chosen
from evae.release.card import card
from evae.results.store import Store

SAMPLES = 32
COLUMNS = 8
CHUNK = 8
"""Images decoded at a time: those of 256 px and large networks take half a GB each."""
OF_STUDY = {"real": "held-out images", "reconstructed": "their reconstructions"}
"""Pictures of a trial that its study keeps, with what they show."""


Scaling = Mapping[str, Any]
"""`shift` and `scale` of each channel of codes, and `overall`, one of each for all channels together."""


def check_free(folder: Path) -> None:
    """Raise UserError where something is in the way."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if os.path.lexists(folder):
        raise UserError(f"{folder} is there already, and not an empty folder: give another --to, or remove it.")


def write_folder(
    to: str | os.PathLike[str],
    kept: Kept,
    weights: bytes,
    *,
    chosen: Chosen | None = None,
    store: Store | None = None,
    licence: str = "unknown",
    scaling: Scaling | None = None,
) -> Path:
    """The exported model: weights and configuration, `README.md`, and pictures. In the layout of diffusers'
    AutoencoderKL where it is one (`evae.autoencoder_kl`), else `model.safetensors`, as the study wrote it, and
    `config.json`. Raises UserError where the folder is not empty or cannot be written; it is then as it was."""
    folder = Path(expanded(to)).absolute()
    shift, scale = scaling["overall"] if scaling else (0.0, 1.0)
    theirs = autoencoder_kl.config(kept, scale, shift)
    with _beside(folder) as part:
        ours = _config(kept, chosen) | ({name: scaling[name] for name in ("shift", "scale")} if scaling else {})
        if isinstance(theirs, str):
            (part / WEIGHTS).write_bytes(weights)
            _write_json(part / CONFIG, ours)
        else:
            for name, data in autoencoder_kl.to_files(weights).items():
                (part / name).write_bytes(data)
            _write_json(part / autoencoder_kl.CONFIG, theirs)
            _write_json(part / autoencoder_kl.OURS, ours)
        pictures = [*_samples(kept, part), *_of_study(store, chosen, part)]
        parts = {"licence": licence, "name": folder.name, "pictures": pictures, "scaled": scaling is not None}
        text = card(kept, chosen, theirs=theirs, **parts)
        (part / "README.md").write_text(text, encoding="utf-8")
    return folder


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A new folder that becomes `folder` at the end, if nothing fails before."""
    check_free(folder)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    try:
        part.mkdir(parents=True)
        yield part
        os.rename(part, folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error}. Free some space, or give another --to.") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _config(kept: Kept, chosen: Chosen | None) -> dict:
    of = {} if chosen is None else {"study": chosen.manifest.get("study"), "trial": chosen.row["trial"]}
    return {
        "library_name": "evae",
        "evae_version": evae.__version__,
        "image_size": kept.image_size,
        "channels": kept.channels,
        "recipe": kept.recipe.to_dict(),
        **of,
    }


def _samples(kept: Kept, folder: Path) -> Iterator[tuple[str, str]]:
    """(file, what it shows) of new images from the prior, and from each density that was fitted; none of points."""
    if kept.model.kind == "points":
        return
    for density in (None, *kept.model.densities):
        name = f"samples-{density or 'prior'}.png"
        (folder / name).write_bytes(samples(kept, SAMPLES, density))
        yield name, "samples from the prior" if density is None else f"samples from the ex-post density {density}"


@torch.no_grad()
def samples(kept: Kept, n: int, density: str | None = None, seed: int = 0, columns: int = COLUMNS) -> bytes:
    """A PNG of n new images, `columns` to a row. Raises UserError for a density that the model does not have, and for a
    model of points."""
    if kept.model.kind == "points":
        raise UserError("this is a model of points, and its samples are no pictures: call its `sample` from Python.")
    model, generator = kept.model, torch.Generator().manual_seed(seed)
    codes = model.sample_prior(n, generator) if density is None else model.sample_density(density, n, generator)
    images = torch.cat([model.decode(some) for some in codes.split(CHUNK)])
    return picture("sampled", _filled(images, columns), columns)["png"]


def _filled(images: torch.Tensor, columns: int) -> torch.Tensor:
    """With black images at the end, so that rows of `columns` are full."""
    missing = -len(images) % min(columns, len(images))
    return torch.cat([images, images.new_zeros(missing, *images.shape[1:])])


def _of_study(store: Store | None, chosen: Chosen | None, folder: Path) -> Iterator[tuple[str, str]]:
    if store is None or chosen is None:
        return
    rows = {row["kind"]: row for row in store.rows("images", chosen.row["trial"])}
    for kind, what in OF_STUDY.items():
        if kind in rows:
            (folder / f"{kind}.png").write_bytes(rows[kind]["png"])
            yield f"{kind}.png", what
