"""How codes are scaled for whoever trains a model of them, as codes.json says it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evae.encoding.job import ABOUT
from evae.errors import UserError


@dataclass(frozen=True)
class Scaling:
    """Of each channel: (code - shift) * scale has mean 0 and variance 1 over the training split."""

    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def overall(self) -> tuple[float, float]:
        """(shift, scale), one for all channels together, with the same meaning."""
        means, variances = np.array(self.shift), np.array(self.scale) ** -2.0
        return float(means.mean()), float(1 / np.sqrt(variances.mean() + means.var()))


def read_scaling(folder: Path, digest: str) -> Scaling:
    """The scaling of a folder of codes, which are those of the model of this digest. Raises UserError where they are
    not, or not complete."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        of, complete = about["model"]["weights_sha256"], about["complete"]
        found = Scaling(tuple(about["shift"]), tuple(about["scale"])) if complete else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} holds no codes that evae.encode wrote ({error})") from None
    if of != digest:
        raise UserError(f"the codes in {folder} are of another model: its weights are {of}..., these {digest}...")
    if found is None:
        raise UserError(f"the codes in {folder} are not complete: run the command of evae.encode again.")
    return found
