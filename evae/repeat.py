"""Train one recipe again and print what it measures: `python -m evae.repeat '{"posterior": ...}'`.

The report copies this command, with the recipe of a trial, so that one result can be checked without its study.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import tyro

from evae import data, plugins
from evae.commands import run
from evae.errors import Diverged, UserError
from evae.hardware import find_device
from evae.lazy import torch
from evae.recipe import Recipe
from evae.study.repeated import conditions, repeat


def parse(text: str) -> Recipe:
    """The recipe of a JSON text, or of a file of that name. Raises UserError for what is neither, and where a plug-in
    is not what it was."""
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"{error}. Give the recipe as JSON, or a file that holds it.") from None
    try:
        given = json.loads(text)
        recipe = Recipe.from_dict(given)
    except ValueError as error:
        raise UserError(f"the recipe is not JSON: {error}. Copy the whole command, quotes included.") from None
    if changed := plugins.changed(given.get("plugins", {})):
        raise UserError(
            f"the plug-in {'; '.join(changed)}: what it measures is no repetition. Bring back what it was, or take "
            '"plugins" out of the recipe.'
        )
    return recipe


def comparison(here: Mapping[str, str | int], recorded: Mapping[str, str | int | None]) -> str:
    """How far the values measured here can be expected to be those that were recorded; None is what is not known."""
    known = {name: value for name, value in recorded.items() if value is not None}
    differing = [f"{name} {here[name]} instead of {value}" for name, value in known.items() if here[name] != value]
    if differing:
        return (
            f"Other than recorded: {', '.join(differing)}. Sums are then taken in another order: expect values that "
            "differ from the recorded ones as much as another seed's do."
        )
    if known.keys() >= {"device", "threads", "precision", "processor"}:
        return "Device, threads, precision and processor are as recorded: with the same code, so are the values."
    return ""


def main(
    recipe: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE", help="a recipe as JSON, or a file that holds it")
    ],
    data_root: Annotated[Path | None, tyro.conf.arg(help="folder that holds the data (default: ./data)")] = None,
    device: Annotated[str | None, tyro.conf.arg(help="default: a GPU where there is one")] = None,
    threads: Annotated[int | None, tyro.conf.arg(help="of the CPU; default: what torch takes here")] = None,
    weights: Annotated[Path | None, tyro.conf.arg(help="where to write the trained weights (safetensors)")] = None,
    precision: Annotated[str | None, tyro.conf.arg(help="as recorded; what differs here is said")] = None,
    processor: Annotated[str | None, tyro.conf.arg(help="as recorded; what differs here is said")] = None,
    plugin: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(help="a plug-in of the recipe; repeatable")
    ] = (),
    workers: Annotated[int | None, tyro.conf.arg(help="as recorded; this is one process")] = None,
) -> None:
    """Train one recipe again and print what it measures.

    The command that a report copies also says what the trial ran on, with which the values come out the same.
    """
    plugins.load(plugin)
    given = parse(recipe)
    if threads is not None:
        if threads < 1:
            raise UserError(f"--threads must be at least 1, got {threads}")
        torch.set_num_threads(threads)
    place = find_device(device)
    recorded = {"device": device and torch.device(device).type, "threads": threads, "workers": workers}
    recorded |= {"precision": precision, "processor": processor}
    images = data.load(given.data, data_root)
    said = comparison(conditions(given, images, place, torch.get_num_threads()), recorded)
    if said:
        print(said, file=sys.stderr)
    try:
        training, measured = repeat(given, images, place)
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
    run(main)
