"""TPE for spaces with branches: parameters that belong together are drawn together."""

from collections import defaultdict
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class BranchTPE(TPESampler):
    """TPE that draws the parameters of a branch of a conditional space together.

    With several objectives Optuna's draws one parameter after the other, as if they had nothing to do with each other,
    and goes through all trials for each. It can also draw jointly (Falkner et al., BOHB, arXiv 1807.01774, section 3.2)
    the groups of parameters that always come together, which finds more where they do depend on each other, but takes
    longer still. Here the first parameter of a branch that a trial asks for brings the others with it: found is the
    same as with groups (benchmarks/results/tpe.md), and two or three passes over the trials are enough.
    """

    def __init__(self, seed: int, n_startup_trials: int = 10):
        super().__init__(seed=seed, n_startup_trials=n_startup_trials, multivariate=True)
        self._trial = -1
        self._drawn: dict[str, tuple[BaseDistribution, Any]] = {}
        """What has been drawn for that trial and not been asked for yet."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing before the trial asks."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if trial.number != self._trial:
            self._trial, self._drawn = trial.number, {}
        if param_name not in self._drawn:
            space = branch(study.get_trials(deepcopy=False), trial, param_name)
            values = self.sample_relative(study, trial, space)
            self._drawn |= {name: (space[name], value) for name, value in values.items()}
        distribution, value = self._drawn.pop(param_name, (None, None))
        if distribution == param_distribution:
            return value
        return super().sample_independent(study, trial, param_name, param_distribution)


def branch(trials: list[FrozenTrial], trial: FrozenTrial, name: str) -> dict[str, BaseDistribution]:
    """The parameters that come with `name` where `trial` stands: those that all trials have which had `name` and had
    chosen as this one (or as nearly so as any), without those that it has already."""
    categories = [n for n, kind in trial.distributions.items() if isinstance(kind, CategoricalDistribution)]
    chosen = [(n, trial.params[n]) for n in categories]
    by_likeness = defaultdict(list)
    for other in trials:
        if name in (params := other.params):
            by_likeness[sum([params.get(n) == v for n, v in chosen])].append(other)
    if not by_likeness:
        return {}
    near = by_likeness[max(by_likeness)]
    shared = set(near[0].params).intersection(*{tuple(other.params) for other in near}) - trial.params.keys()
    distributions = near[0].distributions
    return {n: distributions[n] for n in sorted(shared) if not distributions[n].single()}
