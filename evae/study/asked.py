"""What is to be measured of a finished study's trials, as evaluations and the columns that are wanted of each."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from tyro.conf import Positional, UseAppendAction, arg

from evae.backbones.names import DISTANCES
from evae.densities import Density, density
from evae.errors import UserError, unknown
from evae.metrics.base import METRICS
from evae.metrics.names import features, features_column
from evae.recipe import Evaluation, Recipe
from evae.results import places
from evae.search.objectives import labels_of, objective_column

SPLITS = ("", "val_")
BOUNDS = ("nll_nats", "bits_per_dim")
"""What is measured with `iw_samples`."""
INCEPTIONS = ("_fid", "_kid")
"""How the names of distances on Inception's features end."""
HELD_OUT = "xpd_heldout_"
"""How the metrics begin of which a density has one at most."""
Identity = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What is to be measured of which study, and where."""

    results: Annotated[str, Positional, arg(metavar="RESULTS")] = dataclasses.field(repr=False)  # which may hold a key
    """The results of a study: a folder, or a URI of a file system that pyarrow knows."""
    features: str | None = None
    """Network and tap of further Fréchet and kernel distances: inception for the standard FID."""
    densities: tuple[str, ...] = ()
    """Ex-post densities to sample from, with the study's settings or by default: gaussian, mixture, kde, flow, ..."""
    downstream: tuple[int, ...] = ()
    """Numbers of training labels for which knn_accuracy_N, linear_accuracy_N and shattering_accuracy_N are measured,
    such as 200 1000."""
    iw_samples: int = 0
    """Importance samples of the log likelihood of each image, nll_nats."""
    metrics: tuple[str, ...] = ()
    """Metrics that the study has not measured, on its own features: gen_precision, rec_psnr_db, ..."""

    plugin: Annotated[tuple[str, ...], UseAppendAction] = ()
    """A plug-in with metrics, features or densities, beside those of the study; repeatable."""
    data: str | None = None
    """Where the study's images are now, such as folder:PATH (default: where they were)."""
    data_root: str | None = None
    """Folder that holds the data (default: the study's)."""
    address: str | None = None
    """A running Ray cluster ("auto", "HOST:6379"); default: this machine alone."""

    def __post_init__(self) -> None:
        places.check(self.results)


@dataclass(frozen=True)
class Part:
    """An evaluation, and by column what is wanted of it and must stand in its identity, if it has one."""

    evaluation: Evaluation
    columns: Mapping[str, Identity]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`metrics` are columns of the test split on a trial's own features, none of an ex-post density;
    `densities` are families, with the settings of a trial's recipe or else by default, of which all columns are wanted;
    `downstream` are numbers of labels; `iw_samples` are those of the log likelihood; and `features` are others for the
    distances.

    Raises UserError for names that are not known, and where nothing is asked.
    """

    features: str | None = None
    densities: tuple[str, ...] = ()
    downstream: tuple[int, ...] = ()
    iw_samples: int = 0
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.features or self._of_own):
            options = "--features, --densities, --downstream, --iw-samples or --metrics"
            raise UserError(f"say what is to be measured: {options}")
        if self.features is not None:
            features[self.features]
        fitted = tuple(density[name]() for name in self.densities)
        Evaluation(densities=fitted, downstream=self.downstream, iw_samples=self.iw_samples)
        known = [n for n in _columns() if not (n.startswith("xpd_") or n.endswith(INCEPTIONS) or n in BOUNDS)]
        for name in self.metrics:
            if name in BOUNDS:
                raise UserError(f"{name} needs a number of samples: give --iw-samples 100 instead")
            if name.endswith(INCEPTIONS):
                raise UserError(f"{name} is a distance on Inception's features: give --features inception instead")
            if name not in known and not labels_of(name):
                raise unknown("metric", name, known)
        for name in self.perceptual:
            DISTANCES[name].find()

    @property
    def _of_own(self) -> bool:
        """Whether anything is wanted on a trial's own features."""
        return bool(self.densities or self.downstream or self.iw_samples or self.metrics)

    @property
    def perceptual(self) -> tuple[str, ...]:
        """The perceptual distances that are wanted."""
        return tuple(n.removeprefix("rec_") for n in self.metrics if n.removeprefix("rec_") in DISTANCES)

    @property
    def labels(self) -> tuple[int, ...]:
        """The numbers of labels of all accuracies that are wanted."""
        return tuple(sorted({*self.downstream, *filter(None, map(labels_of, self.metrics))}))

    def networks(self, recipe: Recipe) -> set[str]:
        """The names of the features on which a trial of this recipe is measured."""
        own = recipe.evaluation.features
        return ({own} if self._of_own else set()) | {self.features or own}

    def parts(self, recipe: Recipe, digests: Mapping[str, str], labels: str | None) -> list[Part]:
        """The evaluations of a trial of this recipe, columns on both splits. `digests` are those of the features'
        weights by their names, `labels` that of the images' labels."""
        own = recipe.evaluation
        fitted = {name: density[name]() for name in self.densities} | {each.family: each for each in own.densities}
        parts = []
        if self._of_own:
            chosen = tuple(fitted[name] for name in self.densities)
            counts = {"downstream": self.labels, "iw_samples": self.iw_samples}
            evaluation = replace(own, densities=chosen, perceptual=self.perceptual, **counts)
            parts.append(Part(evaluation, _of_both_splits(self._on_own(evaluation, digests, labels))))
        if self.features is not None:
            given = {"features": self.features, "densities": tuple(fitted.values())}
            evaluation = replace(own, downstream=(), iw_samples=0, perceptual=(), **given)
            parts.append(Part(evaluation, _of_both_splits(_distances(evaluation, digests))))
        return parts

    def _on_own(self, evaluation: Evaluation, digests: Mapping[str, str], labels: str | None) -> dict[str, Identity]:
        """What is wanted on a trial's own features, of the test split."""
        column, on_these = features_column(evaluation.features), {"digest": digests.get(evaluation.features)}
        wanted: dict[str, Identity] = {
            objective_column(name, column): {"labels": labels} if labels_of(name) else on_these for name in self.metrics
        }
        # Of perceptual distances the weights are always the same.
        wanted |= {f"rec_{name}": {} for name in self.perceptual}
        for one in (one for one in METRICS.values() if one.of == "labels"):
            wanted |= {f"{one.name}_{count}": {"labels": labels} for count in self.downstream}
        if self.iw_samples:
            wanted |= {name: {"samples": self.iw_samples} for name in BOUNDS}
        names = [name for name in _columns() if name.startswith("xpd_") and not name.endswith(INCEPTIONS)]
        for each in evaluation.densities:
            about = on_these | {"density": _settings(each)}
            own = [name for name in names if not name.startswith(HELD_OUT) or name == f"xpd_{each.held_out}"]
            wanted |= {objective_column(name, column, each.family): about for name in own}
        return wanted


def _distances(evaluation: Evaluation, digests: Mapping[str, str]) -> dict[str, Identity]:
    """All distances on the evaluation's features, of the test split."""
    column, on_these = features_column(evaluation.features), {"digest": digests.get(evaluation.features)}
    names = ("rec_fd", "rec_kd", "gen_fd", "gen_kd")
    found: dict[str, Identity] = {objective_column(name, column): on_these for name in names}
    for each in evaluation.densities:
        about = on_these | {"density": _settings(each)}
        found |= {objective_column(name, column, each.family): about for name in ("xpd_fd", "xpd_kd")}
    return found


def _columns() -> list[str]:
    return [column for one in METRICS.values() for column in one.columns]


def _of_both_splits(columns: Mapping[str, Identity]) -> dict[str, Identity]:
    return {f"{prefix}{name}": identity for prefix in SPLITS for name, identity in columns.items()}


def _settings(one: Density) -> dict[str, Any]:
    return one.settings


def differing(stored: Identity, wanted: Identity) -> Iterator[tuple[str, Any, Any]]:
    """(name, what is stored, what is wanted) of each part of an identity in which they differ."""
    for name, value in wanted.items():
        there = stored.get(name)
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            yield from differing(there, value)
        elif there != value:
            yield name, there, value
