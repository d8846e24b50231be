"""A trial of another study looked at, and written down as one of this study.

Nothing in a pool is trusted with what is trained: the job says that. A row is refused unless it is, by its own recipe,
the training that the job asks for; of its columns numbers are kept, and a few texts of known names; paths in it are
never followed. Weights are read as safetensors alone, and say themselves of which recipe they are.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from evae.errors import UserError
from evae.identity import CONDITIONS, ORIGIN, identity
from evae.results import measures
from evae.results.rows import opening_row
from evae.results.store import Store, StoreError, Unreachable
from evae.search.job import Job, is_fresh

TEXTS = ("slot", "rate_is", "val_rate_is", "code_shape", "not_fitted", "distances", "plugins")
TIMES = ("started_at", "ended_at")
NATS = ("distortion_of_mean_nats", "distortion_nats", "rate_nats", "elbo_nats")
CHECKED = ("rec_psnr_db", "rec_ssim", "rec_sharpness", *NATS)
COMPARED = tuple(f"{prefix}{name}" for prefix in ("", "val_") for name in CHECKED)
"""What two rows of the same training agree in, where it ran under the same conditions."""
TOLERANCE = 1e-4
LONGEST = 100_000
NAME = re.compile(r"[a-z][a-z0-9_.-]{0,99}")
KINDS = ("epochs", "images", "clouds")


class Refused(Exception):
    """Why a trial of the pool cannot be taken."""


def read(store: Store, trial: str, job: Job, named: str) -> dict[str, Any]:
    """The row of a finished trial of that identity, with what was measured of it since, its recipe parsed. Raises
    Refused for what it is not, and Unreachable where the store has gone away."""
    try:
        row = next(iter(store.rows("trials", trial)), None)
        later = next(iter(store.rows(measures.KIND, trial)), None)
    except Unreachable:
        raise
    except StoreError as error:
        raise Refused(str(error)) from None
    if row is None:
        raise Refused("its row is gone")
    row = completed(row, later)
    row["recipe"] = recipe = measures.parsed(row.get("recipe"))
    try:
        own = identity(recipe, row["data_digest"], row["precision"])
        epochs, seed = recipe["optimisation"]["epochs"], recipe["seed"]
    except (KeyError, TypeError, AttributeError, ValueError):
        raise Refused("its row does not say what was trained") from None
    if own != named:
        raise Refused("its recipe is not that of its identity")
    if row["state"] != "finished" or (row.get("epochs"), row.get("seed")) != (epochs, seed) or seed != job.seed:
        raise Refused("its row and its recipe differ in epochs or seed")
    if is_fresh(row) != is_fresh({"role": job.role}):
        raise Refused("a search has chosen by this seed, so that it confirms nothing")
    if not all(isinstance(row.get(time), datetime) and row[time].tzinfo for time in TIMES):
        raise Refused("its row does not say when it was trained")
    return row


def completed(row: Mapping[str, Any], later: Mapping[str, Any] | None) -> dict[str, Any]:
    """A row with what was measured of its trial afterwards."""
    later = measures.of_trial(row, later)
    more = {n: value for n, value in later.items() if n not in measures.OWN and row.get(n) is None}
    both = measures.identities(later) | measures.identities(row)
    return {**row, **more} | ({"distances": json.dumps(both, sort_keys=True)} if both else {})


def weights(store: Store, trial: str, row: Mapping[str, Any], named: str) -> bytes | None:
    """The weights that were kept of a trial; None where there are none. Raises Refused for those of another one."""
    from evae.checkpoints import recipe_of  # imports torch

    try:
        data = store.read_bytes("weights", f"{trial}.safetensors")
        if (
            data is not None
            and identity(recipe_of(data, "its file of weights"), row["data_digest"], row["precision"]) != named
        ):
            raise Refused("its weights are of another recipe than its row")
    except (KeyError, TypeError, AttributeError):
        raise Refused("its weights do not say of which recipe they are") from None
    except Unreachable:
        raise
    except UserError as error:
        raise Refused(str(error)) from None
    return data


def origin(store: Store, row: Mapping[str, Any]) -> dict[str, Any]:
    """`ORIGIN` of a trial: where it was trained, also if it had been taken from there already."""
    if all(isinstance(row.get(name), str) for name in ORIGIN):
        return {name: row[name][:1000] for name in ORIGIN}
    return dict(zip(ORIGIN, (str(row.get("study"))[:200], store.location, row["trial"]), strict=True))


def as_own(study: str, job: Job, row: Mapping[str, Any], taken: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the job as if it had been trained here, by that of the pool; it says where it was."""
    opening = opening_row(study, job)
    kept = {name: value for name, value in row.items() if name not in opening and _is_kept(name, value)}
    ran = {name: row.get(name) for name in ("epochs", "train_s", "evaluate_s", "restarts", "launch_s", "wall_s")}
    ran = {name: value if _is_number(value) else 0.0 for name, value in ran.items()}
    return opening | kept | ran | {name: row[name] for name in TIMES} | taken | {"state": "finished"}


def _is_kept(name: str, value: Any) -> bool:
    """Whether a column of the pool becomes one of the study."""
    if name in ORIGIN or name.startswith("param_") or not NAME.fullmatch(name):
        return False
    if isinstance(value, str):
        known = (*TEXTS, *CONDITIONS, "identity", "data_digest", "precision")
        return name in known and len(value) <= LONGEST
    return value is None or _is_number(value) or (isinstance(value, list) and all(map(_is_number, value)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def copy(source: Store, target: Store, study: str, job: Job, row: Mapping[str, Any], data: bytes | None) -> dict:
    """Write down a trial of `source` as the job's, its weights from `data`; its row. First what says that it is under
    way, and last the row: what is cut off between is done again. Raises StoreError where that cannot be done."""
    key = {"trial": job.trial, "configuration": job.configuration, "seed": job.seed}
    drawn = {kind: [each | key for each in source.rows(kind, row["trial"])] for kind in KINDS}
    own = as_own(study, job, row, origin(source, row))
    target.write("trials", job.trial, [opening_row(study, job)])
    for kind, rows in drawn.items():
        if rows:
            target.write(kind, job.trial, rows)
    if data is not None:
        target.write_bytes("weights", f"{job.trial}.safetensors", data)
    target.write("trials", job.trial, [own])
    return own


def differing(one: Mapping[str, Any], other: Mapping[str, Any], names: Iterable[str] = COMPARED) -> str | None:
    """A value of `names` in which two rows of one training differ that ran under the same conditions; None where they
    do not."""
    if any(one.get(name) != other.get(name) for name in CONDITIONS):
        return None
    for name in names:
        pair = one.get(name), other.get(name)
        if all(map(_is_number, pair)) and not _is_equal(*pair):
            return f"{name} is {pair[0]:.6g} and {pair[1]:.6g}"
    return None


def _is_equal(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-9) or (one != one and other != other)
