"""The search as Ray Tune knows it: its searcher, its scheduler, and the tuner that runs trials with both."""

import os
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from evae.cluster import private
from evae.cluster.machine import Slots
from evae.cluster.packs import shared
from evae.cluster.setting import Setting
from evae.cluster.trainable import EpochTrainable
from evae.search.rungs import Rungs, is_spared
from evae.search.searcher import FINISHED, StudySearcher

private.share_processes()
private.count_no_callbacks()
private.count_killed_as_died()


class Silent(tune.ProgressReporter):
    """In a notebook Tune's own reporter would clear what a study shows, however silent it is told to be."""

    def should_report(self, trials: list, done: bool = False) -> bool:
        return False

    def report(self, trials: list, done: bool, *sys_info: dict) -> None:
        """At the end it is asked to, whatever it says."""


class TuneSearcher(Searcher):
    """Hands the jobs of a search to Tune, and the ends of their trials to the search."""

    def __init__(self, search: StudySearcher):
        super().__init__()
        self.search = search

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        job = self.search.suggest(trial_id)
        if job == FINISHED:
            return self.FINISHED
        return None if job is None else {"job": job}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.search.on_trial_complete(trial_id, {"state": "failed"} if error or result is None else result)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the store is the source of truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: the search is rebuilt from the store."""


class Order(FIFOScheduler):
    """Trials are started in the order in which the searcher suggests them; the rungs stop some, and those that were
    lost too often are not started again."""

    def __init__(self, rungs: Rungs | None, given_up: list[Any]):
        """`given_up` are Tune's trials that are to be stopped, which it takes from there."""
        super().__init__()
        self.rungs, self.given_up = rungs, given_up

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        job = trial.config["job"]
        # What waits to be written is judged once it is in the store: a later session rebuilds the rungs from there.
        if self.rungs is None or result["epochs"] not in job.rungs or result["waits_for"] is not None:
            return TrialScheduler.CONTINUE
        why = self.rungs.judge(job.trial, result["epochs"], result, is_spared(job.origin, job.number))
        return TrialScheduler.STOP if why else TrialScheduler.CONTINUE

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Tune asks before it starts anything."""
        while self.given_up:
            tune_controller.stop_trial(self.given_up.pop())
        return super().choose_trial_to_run(tune_controller)


def tuner(
    search: StudySearcher,
    setting: Setting,
    slots: Slots,
    callbacks: list[tune.Callback],
    given_up: list[Any],
    scratch: str | os.PathLike[str],
    time_limit: float | None = None,
) -> tune.Tuner:
    """What trains the jobs of the search as there is room, for at most `time_limit` minutes.

    A callback counts how often trials are lost, and puts those that are not to be started again into `given_up`.
    `scratch` is a folder for Tune's own files, which nobody needs afterwards.
    """
    setting = shared(setting) if setting.lanes > 1 else setting
    trainable = tune.with_parameters(EpochTrainable, setting=setting)
    return tune.Tuner(
        tune.with_resources(trainable, slots.resources),
        tune_config=tune.TuneConfig(
            search_alg=TuneSearcher(search),
            scheduler=Order(search.rungs, given_up),
            num_samples=-1,
            reuse_actors=True,
            time_budget_s=time_limit and time_limit * 60,
            trial_name_creator=lambda trial: trial.config["job"].trial,
            trial_dirname_creator=lambda trial: trial.config["job"].trial,
        ),
        run_config=tune.RunConfig(
            name=setting.study,
            storage_path=str(scratch),
            verbose=0,
            progress_reporter=Silent(),
            callbacks=callbacks,
            failure_config=tune.FailureConfig(max_failures=-1),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
