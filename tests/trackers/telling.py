"""A store with trials that have ended, and a session that tells a tracker of them and of one more."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

from evae.results.rows import opening_row
from evae.results.store import Store
from evae.search.job import Job
from evae.study.tracking import Tracking

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
STUDY = {
    "session": "20260302T090000000000Z",
    "study": "my study",
    "state": "running",
    "started_at": BEGAN,
    "space": '{"beta": {"low": 0.1, "high": 10.0, "log": true}, "kernel": {"choices": ["cosine", "uniform"]}}',
    "objectives": '[["rec_fd", "min"]]',
}


class Session:
    """Of a study that began when half of its trials had ended; `said` is what the console shows."""

    def __init__(self, store: Store, name: str):
        self.file = io.StringIO()
        self.tracking = Tracking(name, STUDY["study"], store, Console(file=self.file, width=1000))
        self.tracking.study_start(STUDY)

    @property
    def said(self) -> str:
        return self.file.getvalue()

    def tell(self, row: dict[str, Any], epochs: list[dict[str, Any]]) -> None:
        """As the followers do: the first row comes with the first epoch."""
        for epoch in epochs:
            row = row | {"state": "running", "epochs": epoch["epoch"]}
            if epoch is epochs[0]:
                self.tracking.trial_start(row)
            self.tracking.epoch(row, epoch)

    def end(self) -> str:
        """Whatever the tracker was told of is done, and what was said of it."""
        self.tracking.study_end(STUDY | {"state": "finished"})
        self.tracking.thread.join()
        return self.said


def emptied(folder: Path) -> Store:
    store = Store(folder / "my study")
    store.prepare()
    return store


def ended(
    store: Store, seed: int, state: str = "finished", before: bool = True, **more: Any
) -> tuple[dict, list[dict]]:
    """A trial of three epochs and its epochs, as they are in the store."""
    at = BEGAN + timedelta(minutes=-10 + seed if before else 10)
    job = Job("abc", 7, seed, 0, {"beta": 0.5, "kernel": "cosine"}, RECIPE, "searched", "mine, 100 %")
    row = opening_row(STUDY["study"], job)
    row |= {"state": state, "epochs": 3, "started_at": at, "ended_at": at, "reason": "why" * (state != "finished")}
    row |= {"rec_fd": 2.5 + seed, "gen_fd": float("nan"), "active_units": 4, "rate_per_latent": [0.5, 1.5]} | more
    epochs = [{"trial": job.trial, "epoch": n, "train_loss_nats": 10.0 - n - seed} for n in (1, 2, 3)]
    pixels = io.BytesIO()
    Image.new("L", (64, 32), 128).save(pixels, "PNG")
    store.write("trials", job.trial, [row])
    store.write("epochs", job.trial, epochs)
    store.write("images", job.trial, [{"trial": job.trial, "kind": "sampled", "png": pixels.getvalue()}])
    return store.rows("trials", job.trial)[0], epochs


RECIPE = {"posterior": {"family": "kernel"}, "optimisation": {"epochs": 3}}
