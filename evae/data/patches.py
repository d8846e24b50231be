"""`patches` and `patches:FOLDER`: grey patches of natural pictures, as they are or whitened."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from evae.data.account import Account
from evae.data.base import DataRecipe, Raw, data_source, shuffled
from evae.data.files import Folder
from evae.data.folder import found_in
from evae.data.names import shown
from evae.data.photos import REGIONS_PX
from evae.data.pictures import BrokenPicture, grey
from evae.data.pixels import to_channels
from evae.data.survey import survey
from evae.data.whitening import intensities, whiten
from evae.errors import UserError
from evae.home import expanded
from evae.sizes import ImageSize, in_px, sides

SIDE_PX = 16
HELD_OUT = 10
"""One of so many pictures is for the validation, and one for the test; and so are patches."""
CONTRAST = 2 / 255
"""Between the darkest and the lightest pixel of a patch, at least; less is a place without anything."""
SPARE = 3
"""So many places are looked at for each that is wanted."""
SPLITS = ("train", "validation", "test")
Patches = dict[str, np.ndarray]
"""Float32 (n, 1, h, w) by split."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is said of patches behind the colon: a folder, and after commas the rest; `count` is of training patches."""

    folder: str = ""
    whitened: bool = False
    log: bool = False
    count: int = 20_000
    seed: int = 0


def wanted(path: str) -> Wanted:
    """Of "FOLDER,whitened,log,count=80000,seed=1", in any order after the folder, which may be left out. Raises
    UserError for a number that is none."""
    flags = [item.name for item in fields(Wanted) if isinstance(item.default, bool)]
    found, parts = {}, path.split(",")
    while parts and (key := parts[-1].partition("=")[0]) in (*flags, "count", "seed"):
        value = parts.pop().partition("=")[2]
        if key in flags and not value:
            found[key] = True
        elif key not in flags and value.isascii() and value.isdecimal() and (key == "seed" or int(value)):
            found[key] = int(value)
        else:
            right = key if key in flags else f"{key}=1000"
            raise UserError(f"patches cannot have {shown(f'{key}={value}')!r}: give {right}")
    return Wanted(folder=",".join(parts), **found)


def kind(path: str) -> str:
    """Of the data: whitened patches are no images in [0, 1]."""
    return "signals" if wanted(path).whitened else "images"


@data_source("patches", path="optional", kind=kind)
def read(recipe: DataRecipe, root: Path) -> Raw:
    """Patches from random places of the pictures in a folder, or of scikit-learn's two sample photos; no picture
    is in two splits (of the sample photos, no region).

    A tenth of the pictures is for validation and a tenth for the test, by a hash of their names, at least one each.
    Patches are intensities (linear in light, or with `log` their logarithm) from 0 to 1, or with `whitened` real
    numbers of mean 0 and variance 1 in each picture (`evae.data.whitening`); places without contrast are left out. By
    default they have 16 px, as in the Poisson VAE (Vafaii et al., NeurIPS 2024), whose van Hateren patches are
    whitened.

    Raises UserError for folders without a usable picture for each split, and for whitened patches in colour.
    """
    asked, size = wanted(recipe.path), recipe.image_size or SIDE_PX
    if recipe.channels == 3 and asked.whitened:
        raise UserError("whitened patches are grey: leave channels out")
    splits, notes = _of_folder(asked, size, recipe) if asked.folder else _of_photos(asked, size)
    if (there := len(splits["train"])) < asked.count:
        notes.append(f"{there:,} training patches instead of {asked.count:,}: there are no other places")
    how = f"{'logarithms of ' * asked.log}intensities{', whitened' * asked.whitened}"
    notes.append(f"patches of {in_px(size)} at random places of {how}, seed {asked.seed}")
    if not asked.whitened:
        splits = {split: np.round(255 * patches).astype(np.uint8) for split, patches in splits.items()}
    return Raw(**splits, image_size=size, channels=1, notes=tuple(notes), kind=kind(recipe.path))


def _of_photos(asked: Wanted, size: ImageSize) -> tuple[Patches, list[str]]:
    from sklearn.datasets import load_sample_images

    photos = [to_channels(photo.transpose(2, 0, 1)[None], 1)[0, 0] for photo in load_sample_images().images]
    narrowest = min(last - first for first, last in REGIONS_PX.values())
    if max(sides(size)) > narrowest:
        most = f"at most {narrowest} px"
        raise UserError(f"the sample photos have patches of {most}, not {in_px(size)}: give patches:FOLDER")
    columns = [f"{split} {first}-{last - 1}" for split, (first, last) in REGIONS_PX.items()]
    found = {}
    for split, (first, last) in REGIONS_PX.items():
        regions = [_made(photo[:, first:last], asked) for photo in photos]
        found[split] = _cut(regions, len(regions), split, size, asked)
    return found, ["of scikit-learn's sample photos china.jpg and flower.jpg; columns " + ", ".join(columns)]


def _of_folder(asked: Wanted, size: ImageSize, recipe: DataRecipe) -> tuple[Patches, list[str]]:
    folder = expanded(asked.folder)
    found = found_in(folder, "patches")
    account = survey(Folder(folder, tuple(found.files)), found, shown(folder), recipe)
    for name, header in list(account.headers.items()):
        if min(header.size) < max(sides(size)):  # it may be turned
            del account.headers[name]
            account.broken[name] = f"{header.size[0]} x {header.size[1]} px, smaller than a patch of {in_px(size)}"
    names = sorted(account.headers, key=lambda name: hashlib.sha256(os.fsencode(name)).digest())
    held_out = max(1, len(names) // HELD_OUT)
    chosen = {"test": names[:held_out], "validation": names[held_out : 2 * held_out], "train": names[2 * held_out :]}
    seen: dict[bytes, str] = {}
    cut = {}
    for split, mine in chosen.items():
        mine = mine[: _count(split, asked)]
        cut[split] = _cut(_pictures(folder, mine, asked, account, seen), len(mine), split, size, asked)
    if not all(len(patches) for patches in cut.values()):
        why = f": {'; '.join(account.reasons())}" if account.reasons() else ""
        raise UserError(
            f"{shown(folder)} has {len(seen)} picture(s) for patches, and at least one is needed for each of training, "
            f"validation and test{why}. Give more pictures, or leave the folder out: patches alone is of sample photos."
        )
    notes = [f"no picture in two splits: {', '.join(f'{len(chosen[split]):,} {split}' for split in SPLITS)}"]
    if account.broken or account.copies:
        notes.append(f"left out: {account.unused()}")
    return cut, notes


def _pictures(
    folder: str, names: list[str], asked: Wanted, account: Account, seen: dict[bytes, str]
) -> Iterator[np.ndarray | None]:
    """The pictures of these names, one after the other; None for one that cannot be used, or that is there already."""
    for name in names:
        try:
            levels = grey(os.path.join(folder, name))
            made = _made(levels, asked)
        except BrokenPicture as error:
            account.broken[name] = str(error)
            yield None
            continue
        digest = hashlib.sha256(levels.tobytes()).digest()
        if digest in seen:
            account.copies[name] = seen[digest]
        yield made if seen.setdefault(digest, name) == name else None


def _made(levels: np.ndarray, asked: Wanted) -> np.ndarray:
    """The picture whose patches are cut, float32 (h, w)."""
    made = intensities(levels, log=asked.log)
    return whiten(made) if asked.whitened else made


def _count(split: str, asked: Wanted) -> int:
    return asked.count if split == "train" else max(1, asked.count // HELD_OUT)


def _cut(pictures: Iterable[np.ndarray | None], n: int, split: str, size: ImageSize, asked: Wanted) -> np.ndarray:
    """The patches of a split at different places of its `n` pictures, as many of each as can be, in random order."""
    rng = np.random.default_rng([asked.seed, SPLITS.index(split)])
    left, found = _count(split, asked), [np.empty((0, *sides(size)), np.float32)]
    for place, picture in enumerate(pictures):
        if picture is None:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(picture, sides(size))
        rows, columns = windows.shape[:2]
        share = -(-left // (n - place))
        chosen = rng.choice(rows * columns, min(rows * columns, SPARE * share), replace=False)
        some = windows[chosen // columns, chosen % columns]
        found.append(some[np.ptp(some, axis=(1, 2)) > CONTRAST][:share])
        left -= len(found[-1])
    patches = np.concatenate(found)[:, None]
    return patches[shuffled(len(patches))]
