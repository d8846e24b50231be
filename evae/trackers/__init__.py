"""Programs that show experiments, fed as a study goes on: one file a program."""

from evae.trackers import mlflow, tensorboard, wandb
from evae.trackers.base import Tracker, require, tracker

__all__ = ["Tracker", "mlflow", "require", "tensorboard", "tracker", "wandb"]
