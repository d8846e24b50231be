"""Whether weights are those of the row that they are kept beside, by what they measure. Needs no torch."""

import math
from collections.abc import Mapping
from typing import Any

from evae.errors import UserError

CHECKED = ("rec_psnr_db", "rec_ssim", "rec_sharpness", "distortion_of_mean_nats")
"""What a trial's weights must give as its row has it, before anything else that they give is believed: values that
every trial has, without noise where reconstructions are of the posterior's mean."""
TOLERANCE = 1e-3
"""How far off they may be, as a share: another kind of processor adds in another order."""


def require_same(stored: Mapping[str, Any], measured: Mapping[str, Any]) -> None:
    """Raise UserError unless the values of `CHECKED` come out as they are stored."""
    names = [f"{prefix}{name}" for prefix in ("", "val_") for name in CHECKED]
    known = [name for name in names if isinstance(stored.get(name), float) and name in measured]
    if not known:
        raise UserError(f"its row has none of {', '.join(CHECKED)}, by which its weights could be checked")
    for name in known:
        if not math.isclose(stored[name], measured[name], rel_tol=TOLERANCE, abs_tol=1e-9):
            raise UserError(
                f"its weights give {name} {measured[name]:.6g}, and its row has {stored[name]:.6g}: they are of "
                "another training, or this version measures otherwise"
            )
