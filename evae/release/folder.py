"""The folder of an exported model, written beside its final name and renamed: whole, or not there."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

import evae
from evae.checkpoints import Kept
from evae.errors import UserError
from evae.home import expanded
from evae.pretrained import CONFIG, WEIGHTS
from evae.release.best import Chosen
from evae.release.card import card
from evae.results.store import Store
from evae.tiles import picture

SAMPLES = 32
COLUMNS = 8
OF_STUDY = {"real": "held-out images", "reconstructed": "their reconstructions"}
"""Pictures of a trial that its study keeps, with what they show."""


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
) -> Path:
    """The exported model: `model.safetensors` (the weights as the study wrote them), `config.json`, `README.md`, and
    pictures. Raises UserError where the folder is not empty or cannot be written; it is then as it was."""
    folder = Path(expanded(to)).absolute()
    with _beside(folder) as part:
        (part / WEIGHTS).write_bytes(weights)
        (part / CONFIG).write_text(json.dumps(_config(kept, chosen), indent=2) + "\n", encoding="utf-8")
        pictures = [*_samples(kept, part), *_of_study(store, chosen, part)]
        text = card(kept, chosen, licence=licence, name=folder.name, pictures=pictures)
        (part / "README.md").write_text(text, encoding="utf-8")
    return folder


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
    """(file, what it shows) of new images from the prior, and from each density that was fitted."""
    for density in (None, *kept.model.densities):
        name = f"samples-{density or 'prior'}.png"
        (folder / name).write_bytes(samples(kept, SAMPLES, density))
        yield name, "samples from the prior" if density is None else f"samples from the ex-post density {density}"


@torch.no_grad()
def samples(kept: Kept, n: int, density: str | None = None, seed: int = 0, columns: int = COLUMNS) -> bytes:
    """A PNG of n new images, `columns` to a row. Raises UserError for a density that the model does not have."""
    images = kept.model.sample(n, torch.Generator().manual_seed(seed), density)
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
