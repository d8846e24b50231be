"""Weights & Biases: online where there is a key and its server answers, and else in files to be sent later.

wandb sync results/NAME/wandb/offline-run-*
"""

import io
import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from evae.callbacks import Row
from evae.trackers.base import FOUND, Tracker, finite, hyperparameters, metrics, tracker

PROJECT = "evae"
"""Where WANDB_PROJECT names no other."""
LONGEST_ID = 128
ANSWERS_WITHIN_S = 30.0


@tracker("wandb")
class WeightsAndBiases(Tracker):
    """A run for each trial, in a group of the study's name; its id is made of both names, so that one that goes on is
    the same run."""

    needs = "wandb"

    def study_start(self, study: Row) -> None:
        import wandb

        self.study, self.runs = study["study"], {}
        self.mode = os.environ.get("WANDB_MODE") or self._mode()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings = wandb.Settings(
            reinit="create_new",
            console="off",
            silent=True,
            init_timeout=ANSWERS_WITHIN_S,
            finish_timeout=ANSWERS_WITHIN_S,  # what was not sent by then stays in its files
            # The command line may hold keys, and what this machine and this code are stands in the manifest.
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            disable_git=True,
            disable_code=True,
            save_code=False,
        )

    def trial_start(self, trial: Row) -> None:
        self.runs[trial["trial"]] = self._begin(trial)

    def epoch(self, trial: Row, epoch: Row) -> None:
        self._log(trial, "epoch", epoch, epoch["epoch"])

    def pictures(self, trial: Row, pictures: Sequence[Row]) -> None:
        import wandb
        from PIL import Image

        images = {f"pictures/{row['kind']}": wandb.Image(Image.open(io.BytesIO(row["png"]))) for row in pictures}
        self.runs[trial["trial"]].log(images, step=trial["epochs"])

    def trial_end(self, trial: Row) -> None:
        self._log(trial, "test", trial, trial["epochs"])
        run = self.runs.pop(trial["trial"])
        run.summary.update({"state": trial["state"], "reason": trial.get("reason") or ""})
        run.finish(exit_code=0 if trial["state"] in FOUND else 1)

    def study_end(self, study: Row) -> None:
        for run in self.runs.values():
            run.finish(exit_code=1)

    def _begin(self, trial: Row) -> Any:
        import wandb

        return wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            id=re.sub(r"[^\w-]", "_", f"{self.study}-{trial['trial']}", flags=re.ASCII)[-LONGEST_ID:],
            name=trial["trial"],
            group=self.study,
            tags=[trial["method"], *["taken"] * (trial.get("taken_study") is not None)],
            config=hyperparameters(trial) | {"recipe": trial["recipe"]},
            dir=str(self.folder.parent),  # it adds the name of its own folder
            mode=self.mode,
            resume="allow",
            settings=self.settings,
        )

    def _log(self, trial: Row, of: str, row: Row, step: int) -> None:
        found = {f"{of}/{name}": value for name, value in finite(metrics(row)).items()}
        self.runs[trial["trial"]].log(found, step=step)

    def _mode(self) -> str:
        """ "online" where this machine has a key, from the environment or `wandb login`, for a server that answers."""
        from wandb.sdk.lib.wbauth import read_netrc_auth

        server = os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
        if not os.environ.get("WANDB_API_KEY") and read_netrc_auth(host=server) is None:
            self.say(f"no key of Weights & Biases: its files are below {self.folder}, for wandb sync")
            return "offline"
        try:
            urllib.request.urlopen(server, timeout=ANSWERS_WITHIN_S).close()
        except urllib.error.HTTPError:
            pass  # an answer, too
        except OSError as error:
            self.say(f"{server} does not answer ({error}): W&B's files are below {self.folder}, for wandb sync")
            return "offline"
        return "online"
