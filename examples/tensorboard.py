"""Losses and metrics in TensorBoard while a study runs, a run for each trial.

python studies/kernel_sweep.py --plugin examples/tensorboard.py
tensorboard --logdir runs          # pip install tensorboard
"""

from tensorboardX import SummaryWriter  # comes with Ray

from evae.callbacks import Callback, callback


@callback
class TensorBoard(Callback):
    """Writes below `runs/<study>/<trial>`."""

    def study_start(self, study):
        self.place, self.writers = f"runs/{study['study']}", {}

    def trial_start(self, trial):
        self.writers[trial["trial"]] = writer = SummaryWriter(f"{self.place}/{trial['trial']}")
        writer.add_text("recipe", f"`{trial['recipe']}`")

    def epoch(self, trial, epoch):
        self.numbers(trial, epoch, epoch["epoch"])

    def trial_end(self, trial):
        self.numbers(trial, trial, trial["epochs"])
        self.writers.pop(trial["trial"]).close()

    def numbers(self, trial, row, step):
        for name, value in row.items():
            if isinstance(value, float):
                self.writers[trial["trial"]].add_scalar(name, value, step)
