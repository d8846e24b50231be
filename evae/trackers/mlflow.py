"""MLflow: the server that MLFLOW_TRACKING_URI names, and without one a database beside the results.

mlflow server --backend-store-uri sqlite:///results/NAME/mlflow/mlflow.db
"""

import io
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from evae.callbacks import Row
from evae.trackers.base import FOUND, Tracker, finite, hyperparameters, metrics, tracker

LONGEST = 6000
"""Letters of a parameter's value that every version takes."""
MANY = 1000
"""Metrics of one call."""


@tracker("mlflow")
class MLflow(Tracker):
    """An experiment of the study's name, and in it a run for each trial, found again by its name."""

    needs = "mlflow"

    def study_start(self, study: Row) -> None:
        # Before it is imported: it would tell its makers of its use, and the console of its tables.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        from mlflow import MlflowClient

        self.client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or self._database())
        found = self.client.get_experiment_by_name(study["study"])
        self.experiment = found.experiment_id if found else self._experiment(study["study"])
        self.runs: dict[str, str] = {}

    def trial_start(self, trial: Row) -> None:
        from mlflow.entities import Param, RunTag

        name = trial["trial"]
        known = self.client.search_runs([self.experiment], f"attributes.run_name = '{name}'", max_results=1)
        run = known[0] if known else self.client.create_run(self.experiment, run_name=name)
        self.runs[name] = run.info.run_id
        self.client.update_run(run.info.run_id, status="RUNNING")
        given = {name: str(value)[:LONGEST] for name, value in hyperparameters(trial).items()}
        # A parameter is written once: in a trial that is trained for more epochs some are others.
        params = [Param(name, value) for name, value in given.items() if run.data.params.get(name) in (None, value)]
        tags = [RunTag("recipe", trial["recipe"][:LONGEST]), RunTag("label", trial.get("label") or "")]
        self.client.log_batch(run.info.run_id, params=params, tags=tags)

    def epoch(self, trial: Row, epoch: Row) -> None:
        self._numbers(trial, "epoch", epoch, epoch["epoch"])

    def pictures(self, trial: Row, pictures: Sequence[Row]) -> None:
        from PIL import Image

        for row in pictures:
            with Image.open(io.BytesIO(row["png"])) as image:
                self.client.log_image(self.runs[trial["trial"]], image, f"pictures/{row['kind']}.png")

    def trial_end(self, trial: Row) -> None:
        from mlflow.entities import RunTag

        self._numbers(trial, "test", trial, trial["epochs"])
        run = self.runs.pop(trial["trial"])
        tags = [RunTag(name, (trial.get(name) or "")[:LONGEST]) for name in ("state", "reason")]
        self.client.log_batch(run, tags=tags)
        lost = "KILLED" if trial["state"] == "cancelled" else "FAILED"
        self.client.set_terminated(run, "FINISHED" if trial["state"] in FOUND else lost)

    def _numbers(self, trial: Row, of: str, row: Mapping[str, Any], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        found = [Metric(f"{of}/{name}", value, now, step) for name, value in finite(metrics(row)).items()]
        for start in range(0, len(found), MANY):
            self.client.log_batch(self.runs[trial["trial"]], metrics=found[start : start + MANY])

    def _database(self) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def _experiment(self, name: str) -> str:
        """A new one. Pictures lie beside the database; where there is a server, it knows a place."""
        beside = None if os.environ.get("MLFLOW_TRACKING_URI") else (self.folder / "artifacts").as_uri()
        return self.client.create_experiment(name, artifact_location=beside)
