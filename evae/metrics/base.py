"""Metrics by name: of what each is taken, which way is better, and how people call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from evae.errors import UserError, unknown
from evae.registry import Registry

SIDES = {
    "pairs": ("rec",),
    "images": ("rec", "gen", "xpd"),
    "features": ("rec", "gen", "xpd"),
    "samples": ("gen", "xpd"),
    "density": ("xpd",),
    "model": ("",),
    "labels": ("",),
    "cost": ("",),
}
"""What a metric can be taken of, and the sides on which it then is: of reconstructions beside their originals, of
reconstructions and samples alone, of the features of two sets, of those of samples and real images only, of an ex-post
density, of the model as a whole, of codes and labels, or of what a model costs."""
OURS = ("density", "model", "labels", "cost")
"""What only metrics of ours can be taken of."""
KINDS = ("images", "points")
"""Of data that a metric can be taken on; signals are measured as images."""
LABELS = (200, 1000, 5000)
"""The numbers of training labels for which the literature gives accuracies (Vafaii et al. 2024, Poisson VAE)."""

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Metric:
    """`measure` is the function that takes it; None where the evaluation itself does, because more than that belongs
    to it. `direction` says which way is better: such a metric can be searched for. A report knows `label` and `unit` of
    a plug-in's metrics from the study's manifest, and those of ours by itself. `kinds` are those of the data that can
    have it.
    """

    name: str
    of: str
    direction: str | None
    label: str
    unit: str
    measure: Callable[..., Any] | None
    kinds: tuple[str, ...] = ("images",)

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns on the test split; of an ex-post density, `xpd_` stands for the column's `xpd_<density>_`; of an
        accuracy those of the usual numbers of labels."""
        if self.of == "labels":
            return tuple(f"{self.name}_{count}" for count in LABELS)
        return tuple(f"{side}_{self.name}" if side else self.name for side in SIDES[self.of])


METRICS: Registry[Metric] = Registry("metric")


def metric(
    name: str, *, of: str, direction: str | None = None, label: str = "", unit: str = ""
) -> Callable[[Function], Function]:
    """A decorator for a pure function of tensors that takes a metric of this name.

    `of` "pairs": (reconstructions, originals), both (n, c, h, w) in [0, 1], to (n,); "images": (n, c, h, w) to (n,);
    "features": (n, dim) of reconstructions or samples and (m, dim) of real images to one number; "samples": the same of
    samples only. Of (n,) numbers the mean is the metric. The columns are `rec_<name>` but for samples, and but for
    pairs `gen_<name>`, and `xpd_<density>_<name>` for each ex-post density; where there is a `direction`, "min" or
    "max", they are objectives too. Raises UserError for other words.
    """
    if of not in SIDES or of in OURS:
        raise unknown("subject of a metric", of, [kind for kind in SIDES if kind not in OURS])
    if direction not in ("min", "max", None):
        raise UserError(f'the direction of the metric {name!r} must be "min" or "max", or left out; got {direction!r}')

    def register(function: Function) -> Function:
        known = Metric(name, of, direction, label or name.replace("_", " "), unit, function)
        METRICS.add(name, known, written=function)
        return function

    return register


def declare(name: str, *, of: str, direction: str | None = None, kinds: tuple[str, ...] | None = None) -> None:
    """Name a metric that the evaluation takes itself: by default one of a model, or of what it costs, on data of all
    `KINDS`, all others on images."""
    kinds = kinds or (KINDS if of in ("model", "cost") else ("images",))
    METRICS.add(name, Metric(name, of, direction, "", "", None, kinds), written=declare)


def of(kind: str) -> list[Metric]:
    """The metrics of a kind that have a function."""
    return [one for one in METRICS.values() if one.of == kind and one.measure is not None]


declare("distortion_nats", of="model", direction="min")
declare("distortion_of_mean_nats", of="model", direction="min")
declare("rate_nats", of="model", direction="min")
declare("elbo_nats", of="model", direction="max")
declare("nll_nats", of="model", direction="min")
declare("bits_per_dim", of="model", direction="min", kinds=("images",))
declare("log_likelihood_nats", of="model", direction="max", kinds=("points",))
declare("log_likelihood_gap_nats", of="model", direction="min", kinds=("points",))
declare("bound_gap_nats", of="model", direction="min", kinds=("points",))
declare("code_correlation", of="model", direction="max", kinds=("points",))
