"""`points:NAME` and `points:FILE`: points of a few numbers each in the place of images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from evae.data.base import VALIDATION_IMAGES, DataRecipe, Raw, Truth, data_source
from evae.data.curves import SHAPES, Curve
from evae.data.names import shown
from evae.data.tables import SUFFIXES, read_table
from evae.errors import UserError, unknown

TRAIN, TEST = 600, 2000
"""Points of a curve where the recipe does not say how many."""
FEWEST = 10
"""Distinct points that a file must have."""
MOST_NUMBERS = 1000
OPTIONS = ("noise", "seed")


@data_source("points", path=True, kind="points")
def read(recipe: DataRecipe, root: Path) -> Raw:
    """Points of a curve of `SHAPES`, "moon", with its noise and seed where they are given: "moon,noise=0.1,seed=2"; or
    the rows of a file .npy or .csv, of which each number is a dimension.

    A curve's splits are drawn independently: `TRAIN` training points or as many as the recipe asks for. Of a file a
    tenth is for the test, by a hash of each row, so that equal rows are on one side. Nothing is scaled.

    Raises UserError for unknown names and options, and for a file that does not hold points.
    """
    if recipe.path.lower().endswith(SUFFIXES):
        return _of_file(recipe.path)
    return _of_curve(recipe)


def _of_curve(recipe: DataRecipe) -> Raw:
    curve, seed = _parse(recipe.path)
    counts = {
        "train": recipe.train_images or TRAIN,
        "validation": recipe.validation_images or VALIDATION_IMAGES,
        "test": recipe.test_images or TEST,
    }
    # Rounded, so that processors whose last bits differ make the same points.
    drawn = {
        split: np.round(curve.sample(count, seed, stream)[1], 6).astype(np.float32)
        for stream, (split, count) in enumerate(counts.items())
    }
    known = {split: curve.known_of(drawn[split]) for split in ("validation", "test")}
    truth = Truth(
        curve=curve,
        log_density={split: density for split, (density, _) in known.items()},
        latent_means={split: means for split, (_, means) in known.items()},
    )
    note = f"x = f(z) + {curve.noise:g} e with f of {curve.shape}, z and e standard normal; seed {seed}"
    return _raw(drawn["train"], drawn["test"], drawn["validation"], (note,), truth)


def _parse(text: str) -> tuple[Curve, int]:
    name, *given = text.split(",")
    if name not in SHAPES:
        files = " or ".join(SUFFIXES)
        raise UserError(f"{unknown('set of points', shown(name), SHAPES)} A file of points ends in {files}.")
    values: dict[str, float] = {"noise": SHAPES[name][1], "seed": 0}
    for part in given:
        key, _, value = part.partition("=")
        if key not in OPTIONS:
            raise unknown("option of points", shown(key), OPTIONS)
        try:
            values[key] = int(value) if key == "seed" else float(value)
        except ValueError:
            wanted = "a whole number" if key == "seed" else "a number"
            raise UserError(f"{key} of points must be {wanted}, got {shown(value)!r}: points:{name},{key}=1") from None
    if values["seed"] < 0:
        raise UserError(f"the seed of points must be 0 or more, got {values['seed']}")
    return Curve(name, values["noise"]), int(values["seed"])


def _of_file(path: str) -> Raw:
    rows, notes = read_table(path)
    if not 1 <= rows.shape[1] <= MOST_NUMBERS:
        raise UserError(
            f"{shown(path)} has points of {rows.shape[1]:,} numbers each: at most {MOST_NUMBERS:,} are taken. A row is "
            "a point, and a column a dimension: is it transposed?"
        )
    ranks = [hashlib.sha256(row.tobytes()).digest() for row in rows]
    distinct = sorted(set(ranks))
    if len(distinct) < FEWEST:
        raise UserError(
            f"{shown(path)} has {len(distinct)} distinct point(s): at least {FEWEST} are needed for training, "
            "validation and test, and a few hundred for what is measured to mean anything."
        )
    in_order = rows[sorted(range(len(rows)), key=ranks.__getitem__)]
    last = distinct[len(distinct) // 10 - 1]
    test = sum(rank <= last for rank in ranks)
    notes = [*notes, "split by a hash of each row: one in 10 is for the test"]
    if copies := len(rows) - len(distinct):
        notes.append(f"{copies:,} of {len(rows):,} points are equal to another: a density may shrink to them")
    return _raw(in_order[test:], in_order[:test], None, tuple(notes), None)


def _raw(
    train: np.ndarray, test: np.ndarray, validation: np.ndarray | None, notes: tuple[str, ...], truth: Truth | None
) -> Raw:
    shaped = {"train": train, "test": test, "validation": validation}
    shaped = {split: None if rows is None else rows[:, :, None, None] for split, rows in shaped.items()}
    return Raw(**shaped, image_size=1, channels=train.shape[1], notes=notes, kind="points", truth=truth)
