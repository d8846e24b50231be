"""The row of a trial as it begins, and as it is closed by somebody else."""

import re
from datetime import UTC, datetime
from typing import Any, Protocol

from evae.results.store import Store, to_json

TRACEBACK = 8000
"""How many characters of a stack trace are kept."""


class Begun(Protocol):
    """What a trial's first row is made of: the job that the search hands over is one."""

    trial: str
    configuration: str
    number: int
    seed: int
    attempt: int
    params: Any
    recipe: Any
    origin: str
    label: str | None
    role: str


def opening_row(study: str, job: Begun) -> dict[str, Any]:
    """The row of a trial as it begins."""
    return {
        "study": study,
        "trial": job.trial,
        "configuration": job.configuration,
        "number": job.number,
        "origin": job.origin,
        "label": job.label,
        "seed": job.seed,
        "role": job.role,
        "attempt": job.attempt,
        "state": "running",
        "reason": None,
        "traceback": None,
        "method": job.recipe["posterior"]["family"],
        "params": to_json(job.params),
        "recipe": to_json(job.recipe),
        "epochs": 0,
        "epochs_planned": job.recipe["optimisation"]["epochs"],
        "started_at": datetime.now(UTC),
        "ended_at": None,
        "train_s": 0.0,
        "evaluate_s": 0.0,
        "restarts": 0,
        "launch_s": 0.0,
        "wall_s": 0.0,
        **{f"param_{name}": value for name, value in job.params.items()},
    }


def close_row(store: Store, trial: str, state: str, why: str, traceback: str | None = None) -> None:
    """Say of a trial that still runs, by its row, how it ended."""
    for row in store.rows("trials", trial):
        if row["state"] == "running":
            row |= {"state": state, "reason": why, "traceback": traceback, "ended_at": datetime.now(UTC)}
            store.write("trials", trial, [row])


def shortened(traceback: str) -> str:
    """A stack trace for a row: its end, where the error is, and without the colours that Ray puts in."""
    text = re.sub(r"\x1b\[[\d;]*m", "", traceback).strip()
    return text if len(text) <= TRACEBACK else "...\n" + text[-TRACEBACK:].partition("\n")[2]
