"""Which trials of an Optuna study have changed since one last looked: with 10,000 of them, going through all whenever
something is to be suggested keeps machines waiting."""

from optuna.study import Study
from optuna.trial import FrozenTrial


class Changes:
    """Optuna replaces a trial by a new object when it changes, and none that has ended changes."""

    def __init__(self) -> None:
        self.trials: list[FrozenTrial] = []
        """All of them, as they were at the last look."""
        self._open: dict[int, None] = {}
        """Numbers of those that had not ended then."""

    def read(self, study: Study) -> list[FrozenTrial]:
        """Those that are new or have changed, by number."""
        before, self.trials = self.trials, study.get_trials(deepcopy=False)
        found = [self.trials[number] for number in self._open if self.trials[number] is not before[number]]
        found += self.trials[len(before) :]
        for trial in found:
            if trial.state.is_finished():
                self._open.pop(trial.number, None)
            else:
                self._open[trial.number] = None
        return found
