"""`celeba`: aligned CelebA faces in torchvision's layout, cut and scaled as the VAE literature does."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evae.data.base import DataRecipe, Raw, data_source, shuffled
from evae.data.names import shown
from evae.data.pictures import BrokenPicture, decode, many
from evae.errors import UserError
from evae.sizes import ImageSize, sides

CROP_PX = 140
TRAIN, VALIDATION = "0", "1"  # list_eval_partition.txt; 2 is CelebA's own test partition
PICTURES, PARTITION = "img_align_celeba", "list_eval_partition.txt"


@data_source("celeba")
def read(recipe: DataRecipe, root: Path) -> Raw:
    """162,770 training faces; the hold-out (here: test) is CelebA's validation partition, 19,867 faces.

    As Qin & Huang, arXiv 2405.12783v2, section 5: centre crop of 140 px, then 64 x 64 px, and the validation
    partition as hold-out. Only the faces that a recipe's caps ask for are decoded. Raises UserError where the
    files are not there.
    """
    home = next((folder for folder in (root / "celeba", root) if (folder / PARTITION).is_file()), None)
    if home is None or not (home / PICTURES).is_dir():
        raise UserError(
            f"CelebA is not in {shown(root / 'celeba')}: unpack img_align_celeba.zip there, so that it has a folder "
            f"{PICTURES}, and put {PARTITION} beside it (https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html)"
        )
    names: dict[str, list[str]] = {TRAIN: [], VALIDATION: []}
    for line in os.fsdecode((home / PARTITION).read_bytes()).split("\n"):
        name, _, part = line.strip().rpartition(" ")
        if part in names:
            names[part].append(name.strip())
    train, test = (_faces(home, names[part], recipe) for part in (TRAIN, VALIDATION))
    note = "test: CelebA's validation partition; validation: from its training partition, by a fixed permutation"
    return Raw(train=train, test=test, image_size=64, channels=3, notes=(note,))


def _faces(home: Path, names: list[str], recipe: DataRecipe) -> "Faces":
    if not names:
        raise UserError(f"{shown(home / PARTITION)} lists no images of partition 0 or of partition 1: fetch it again")
    paths = [home / PICTURES / names[i] for i in shuffled(len(names))]
    return Faces(paths, recipe.image_size or 64, recipe.channels or 3, recipe.fit)


@dataclass(frozen=True)
class Faces:
    """Faces that are decoded when a slice of them is taken."""

    paths: list[Path]
    size: ImageSize
    channels: int
    fit: str

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, chosen: slice, /) -> np.ndarray:
        paths = self.paths[chosen]
        faces = np.empty((len(paths), self.channels, *sides(self.size)), dtype=np.uint8)

        def fill(i: int) -> None:
            try:
                faces[i] = decode(paths[i], self.size, self.channels, self.fit, crop=CROP_PX)
            except BrokenPicture as error:
                raise UserError(f"{shown(paths[i])} cannot be used ({error}): unpack CelebA again") from error

        many(fill, range(len(paths)))
        return faces
