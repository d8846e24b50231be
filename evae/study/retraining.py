"""Finished trials of pools trained again: are their values those that come out?

On the same kind of device and processor, with as many threads and workers and in the same arithmetic, all that is
measured must come out the same but for rounding (`taking.TOLERANCE`); that calls no honest trial wrong.
Elsewhere a training comes as close as another seed's: the values of `taking.COMPARED` must lie within the spread
between seeds (`spread.limits`), by a test in which one honest trial or more among all that are drawn is called wrong
with a probability of 5 % (`noise.ERROR`, by Bonferroni's inequality over trials, values and both sides), as far as
values of seeds are normal. Where there are no two seeds of any configuration, it cannot be told.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from evae import data, plugins
from evae.data.base import DataRecipe, ImageSet
from evae.errors import Diverged, UserError
from evae.hardware import find_device
from evae.identity import CONDITIONS
from evae.lazy import torch
from evae.numerics import NUMERICS
from evae.recipe import Recipe
from evae.results.store import Store
from evae.search.noise import ERROR
from evae.study.holdings import Checked
from evae.study.repeated import conditions, repeat
from evae.study.spread import limits
from evae.study.taking import COMPARED, differing

FINE, DIFFERS, UNKNOWN, UNTRAINED = "as it was", "differs", "cannot be told", "not trained"
Trial = tuple[Store, Mapping[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """What came of a trial: one of the words above, and why."""

    word: str
    why: str


def draw(fine: Sequence[Trial], share: float, seed: int) -> list[Trial]:
    """A share of the trainings, one at least, by a hash of seed and identity: the same seed draws the same ones. One
    that several stores have, under the same conditions, counts once: `check` has compared them. `share` is
    above 0, and at most 1."""
    apart: dict[tuple[Any, ...], Trial] = {}
    for store, row in fine:
        apart.setdefault((row["identity"], *(row.get(name) for name in CONDITIONS)), (store, row))
    order = sorted(apart, key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest())
    return [apart[key] for key in order[: math.ceil(share * len(order))]]


def retrain(checked: Checked, share: float, seed: int, data_root: Path | None, console: Console) -> bool:
    """Train a share of what is fine again, and say on the console what came of each; whether all are as they were. On
    Ctrl-C it says what has been compared, and raises KeyboardInterrupt."""
    drawn = draw(checked.fine, share, seed)
    again = Again(checked.fine, ERROR / (2 * max(len(drawn), 1) * len(COMPARED)), data_root)
    found: list[tuple[Trial, Verdict]] = []
    try:
        for number, (store, row) in enumerate(drawn, 1):
            epochs = f"{row['epochs']} epoch{'' if row['epochs'] == 1 else 's'}"
            console.print(Text(f"training {number} of {len(drawn)} again: {row['trial']}, {epochs}"))
            found.append(((store, row), again.compare(row)))
    except KeyboardInterrupt:
        console.print(f"stopped: {len(found)} of {len(drawn)} have been compared", highlight=False)
        raise
    finally:
        _show(found, console)
    return bool(drawn) and all(verdict.word == FINE for _, verdict in found)


def _show(found: Sequence[tuple[Trial, Verdict]], console: Console) -> None:
    """A table of them, in lines that are not folded, and how many there are of each word."""
    rows = [(row["trial"], verdict.word, store.location, verdict.why) for (store, row), verdict in found]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
        console.print(Text("  ".join(cells)))
    words = [verdict.word for _, verdict in found]
    counts = ", ".join(f"{words.count(word)} {word}" for word in (FINE, DIFFERS, UNKNOWN, UNTRAINED))
    console.print(f"{len(found)} trained again or tried: {counts}", highlight=False)


@dataclass
class Again:
    """Trains trials and compares; `fine` are all trials whose spread counts, `tail` is the chance of an error in one
    value, to one side."""

    fine: Sequence[Trial]
    tail: float
    data_root: Path | None = None
    images: dict[DataRecipe, ImageSet] = field(default_factory=dict)

    def compare(self, row: Mapping[str, Any]) -> Verdict:
        """What came of a trial, by its row."""
        try:
            here, measured = self._trained(row)
        # As in a study, a plug-in may raise whatever it likes: it is a trial's end, and not that of the others.
        except Exception as error:
            return Verdict(UNTRAINED, f"{'' if isinstance(error, UserError) else type(error).__name__ + ': '}{error}")
        unlike = ", ".join(f"{n} {here[n]} instead of {row.get(n)}" for n in CONDITIONS if here[n] != row.get(n))
        if isinstance(measured, Diverged):
            return Verdict(UNKNOWN if unlike else DIFFERS, f"here {measured} {f'({unlike})' if unlike else ''}".strip())
        if unlike:
            return self._within(row, measured, unlike)
        why = differing(measured | here, row, measured)
        return Verdict(DIFFERS, f"{why}, here and there") if why else Verdict(FINE, "exactly, but for rounding")

    def _trained(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | Diverged]:
        """The conditions here, as far as can be those of the row, and what a trial of its recipe measures. Raises
        UserError where it cannot be trained here."""
        given = json.loads(row["recipe"])
        if int(row["numerics"]) != NUMERICS:
            raise UserError(f"it was made by version {row['numerics']} of the numbers, and this is version {NUMERICS}")
        if changed := plugins.changed(given.get("plugins", {})):
            raise UserError(f"the plug-in {'; '.join(changed)}")
        recipe = Recipe.from_dict(given)
        arithmetic = replace(recipe.optimisation, precision=row["precision"])
        # Speed and memory are not the training's, and differ each time.
        recipe = replace(recipe, optimisation=arithmetic, evaluation=replace(recipe.evaluation, cost=False))
        device = find_device(str(row.get("device")))
        if device.type != row.get("device"):
            raise UserError(f"it was trained on {row.get('device')}, which is not here")
        images = self._images(recipe.data, row["data_digest"])
        recipe.check_trainable(1, images.image_size, len(images.train))
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(_threads(row.get("threads")) or before)
            here = conditions(recipe, images, device, torch.get_num_threads())
            return here, repeat(recipe, images, device)[1].metrics
        except Diverged as error:
            return here, error
        finally:
            torch.set_num_threads(before)

    def _images(self, recipe: DataRecipe, digest: str) -> ImageSet:
        """Those of a trial. Raises UserError where what is there are others."""
        plain = replace(recipe, horizontal_flip=False)
        if plain not in self.images:
            self.images[plain] = data.load(plain, self.data_root)
        images = self.images[plain]
        if images.digest != digest:
            raise UserError(f"the images of {images.name} here are {images.digest}, and were {digest}: see --data-root")
        return images

    def _within(self, row: Mapping[str, Any], measured: Mapping[str, Any], unlike: str) -> Verdict:
        """What is to be said of values that came about under other conditions, in words `unlike`."""
        names = [
            n for n in COMPARED if isinstance(row.get(n), int | float) and isinstance(measured.get(n), int | float)
        ]
        rows = [each for _, each in self.fine]
        found = limits(rows, row, measured, names, self.tail)
        for name, limit in found.items():
            if not abs(measured[name] - row[name]) <= limit:
                far = (
                    f"{name} is {measured[name]:.6g} here and {row[name]:.6g}, {limit:.3g} apart at most between seeds"
                )
                return Verdict(DIFFERS, f"{far} ({unlike})")
        if not found:
            return Verdict(UNKNOWN, f"no configuration has two seeds, by which to judge other conditions ({unlike})")
        return Verdict(FINE, f"within the spread between seeds ({unlike})")


def _threads(recorded: Any) -> int | None:
    """As many threads as were recorded, if there are so many cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return recorded if isinstance(recorded, int) and 1 <= recorded <= cores else None
