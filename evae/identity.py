"""What a trial is: the digest by which one study finds that another has trained it.

Two trials are the same training where their recipes agree in all but the evaluation (seed, epochs and the digests of
plug-ins included), and their images, arithmetic and version of the numbers do too. Where the images lie does not
matter, what they are does. A schedule may end with the last epoch, so that more epochs are another training from its
first step on. How a model is measured is apart: what is trained once can be measured again from its weights.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from evae.numerics import NUMERICS

DIGITS = 24
"""Hexadecimal digits of an identity: among a million trials, two that differ share one with a chance of 1e-17."""
CONDITIONS = ("device", "processor", "threads", "workers")
"""What a trial's numbers depend on beside its identity: where one differs, they are as close as another seed's."""
ORIGIN = ("taken_study", "taken_from", "taken_trial")
"""Columns of a trial that was taken: the study that trained it, where its results lie, and its name there."""
IN_TRAINING = ("horizontal_flip",)
"""What of the data's recipe is no property of the images."""


def identity(recipe: Mapping[str, Any], data: str, precision: str, numerics: int = NUMERICS) -> str:
    """The identity of a trial, by its recipe as plain values; `data` is the digest of its images, `precision` the
    arithmetic that it was trained in, which a recipe may leave to the hardware."""
    trained = {name: value for name, value in recipe.items() if name != "evaluation"}
    trained["data"] = {name: recipe["data"].get(name, False) for name in IN_TRAINING} | {"digest": data}
    trained["optimisation"] = {**recipe["optimisation"], "precision": precision}
    text = json.dumps(trained | {"numerics": numerics}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
