"""Train one recipe again and print what it measures: `python -m evae.repeat '{"posterior": ...}'`.

The report copies this command, with the recipe of a trial, so that one result can be checked without its study.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from evae import data
from evae.errors import Diverged, UserError
from evae.hardware import accelerator
from evae.lazy import torch
from evae.recipe import Recipe

if TYPE_CHECKING:
    from evae.evaluation import Evaluated
    from evae.training import Training


def repeat(recipe: Recipe, images: data.ImageSet, device: torch.device | str = "cpu") -> tuple[Training, Evaluated]:
    """Train `recipe` to its last epoch and measure it, as a trial of a study does. Raises Diverged as that does."""
    from evae.evaluation import evaluate
    from evae.metrics.features import load_features
    from evae.metrics.reference import reference
    from evae.training import Training

    features = load_features(recipe.evaluation.features, device)
    references = {split: reference(getattr(images, split), images.train, features) for split in ("validation", "test")}
    training = Training(recipe, images, device)
    while not training.finished:
        training.train_epoch()
    return training, evaluate(training, features, references)


def parse(text: str) -> Recipe:
    """The recipe of a JSON text, or of a file of that name. Raises UserError for what is neither."""
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"{error}. Give the recipe as JSON, or a file that holds it.") from None
    try:
        return Recipe.from_dict(json.loads(text))
    except ValueError as error:
        raise UserError(f"the recipe is not JSON: {error}. Copy the whole command, quotes included.") from None


def main(
    recipe: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE", help="a recipe as JSON, or a file that holds it")
    ],
    data_root: Annotated[Path | None, tyro.conf.arg(help="folder that holds the data (default: ./data)")] = None,
    device: Annotated[str | None, tyro.conf.arg(help="default: a GPU where there is one")] = None,
    weights: Annotated[Path | None, tyro.conf.arg(help="where to write the trained weights (safetensors)")] = None,
) -> None:
    """Train one recipe again and print what it measures."""
    given = parse(recipe)
    images = data.load(given.data, data_root)
    try:
        training, measured = repeat(given, images, device or accelerator())
    except Diverged as error:
        raise UserError(f"the trial diverged: {error}. Lower the learning rate, or take another seed.") from None
    for name, value in sorted(measured.metrics.items()):
        if isinstance(value, (int, float)):
            print(f"{name:40} {value:.6g}")
    if weights is not None:
        from evae.checkpoints import dump_model

        weights.write_bytes(dump_model(training.model, given, images.image_size, images.channels))
        print(f"weights: {weights}")


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except UserError as error:
        sys.exit(f"error: {error}")
