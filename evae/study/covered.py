"""Whether a finished trial, by its row, was measured as a study wants it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evae.errors import UserError
from evae.families import from_dict
from evae.metrics.names import features_column
from evae.recipe import Evaluation
from evae.results import measures
from evae.search.objectives import objective_column
from evae.study.options import StudyOptions


def looked_at(options: StudyOptions) -> tuple[str, ...]:
    """The metrics, by column, that a study needs of the validation split, too: those of its objectives and constraints,
    and of claims that something is explained."""
    measured = features_column(options.features), options.first_density
    explained = [text.split()[-1] for text in options.claim if "explains" in text.split()]
    found = [metric for metric, _ in options.resolved_objectives()]
    found += [each.metric for each in options.constraints()]
    return tuple(dict.fromkeys([*found, *(objective_column(name, *measured) for name in explained)]))


@dataclass(frozen=True)
class Wanted:
    """What a study measures beside its recipes' evaluations: `metrics` are the columns that it looks at; `plugins`,
    `features` and `labels` the digests of plug-ins that add metrics, of the network of its distances, and of labels."""

    metrics: Sequence[str]
    plugins: Mapping[str, str]
    features: str | None = None
    labels: str | None = None

    def lacks(self, row: Mapping[str, Any], evaluation: Evaluation) -> str | None:
        """What a row, its recipe parsed, has not of this evaluation, or has on something else; None if nothing."""
        try:
            had = from_dict(Evaluation, row["recipe"].get("evaluation", {}), "evaluation")
        except UserError as error:
            return str(error)
        if had != evaluation and (name := _beyond(had, evaluation)):
            return name
        known = row.get("plugins")  # older rows do not say
        if known is not None and not self.plugins.items() <= measures.parsed(known).items():
            return "metrics of plug-ins"
        for name, about in measures.identities(row).items():
            if isinstance(about, Mapping) and self._differs(about, evaluation):
                return name
        # Some are measured on the validation split only where the search looks at them.
        for name in self.metrics:
            if row.get(name) is None and row.get(name.removeprefix("val_")) is not None:
                return name
        return None

    def _differs(self, about: Mapping[str, Any], evaluation: Evaluation) -> bool:
        """Whether a distance or accuracy was taken on other features or labels of these names."""
        if about.get("features") == evaluation.features and self.features is not None:
            return about.get("digest", self.features) != self.features
        return "labels" in about and bool(evaluation.downstream) and about["labels"] != self.labels


def _beyond(had: Evaluation, wanted: Evaluation) -> str | None:
    """What is wanted beyond what there was; None where all of it was there."""
    for name in ("densities", "downstream", "perceptual"):
        if not set(getattr(wanted, name)) <= set(getattr(had, name)):
            return name
    if wanted.iw_samples not in (0, had.iw_samples):
        return "iw_samples"
    if wanted.cost and not had.cost:
        return "cost"
    rest = ("features", "reconstruct_from", "seed")
    return next((name for name in rest if getattr(had, name) != getattr(wanted, name)), None)
