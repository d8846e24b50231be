"""Everything that defines a trial, as frozen dataclasses, and their plain-dict form.

A recipe holds no machine: the same recipe on a laptop and on a cluster is the same trial. Polymorphic parts (the
posterior and the network) are chosen by their `family`; a key that no dataclass knows is an error.
"""

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evae import networks, posteriors
from evae.data.base import DataRecipe
from evae.errors import UserError, unknown
from evae.metrics.features import DEFAULT_FEATURES
from evae.networks.base import Network
from evae.networks.conv import Conv
from evae.posteriors.base import Posterior
from evae.posteriors.evae import Evae

PRECISIONS = ("auto", "fp32", "bf16")
FAMILIES: dict[type, dict[str, type]] = {Posterior: posteriors.FAMILIES, Network: networks.FAMILIES}


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """Adam with a constant learning rate (Qin & Huang, arXiv 2405.12783v2, appendix D).

    `precision` is the arithmetic of the networks: "fp32", "bf16" (autocast), or "auto", which takes bf16 where the
    hardware multiplies it natively. Raises UserError for values outside their range.
    """

    learning_rate: float = 3e-4
    batch_size: int = 100
    epochs: int = 50
    precision: str = "auto"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        for name in ("learning_rate", "batch_size", "epochs"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a trained model is measured.

    `features` names the network and tap of the Fréchet and kernel distances; as many images are sampled from the
    prior as the real split has. `seed` fixes the latent noise of samples, so that trials are compared on the same
    draws. Reconstructions decode the posterior mean ("mean"), or one posterior sample ("sample").
    """

    features: str = DEFAULT_FEATURES
    reconstruct_from: str = "mean"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.reconstruct_from not in ("mean", "sample"):
            raise unknown("reconstruction code", self.reconstruct_from, ("mean", "sample"))
        _check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One trial: data, posterior, networks, optimisation, evaluation and seed."""

    data: DataRecipe = field(default_factory=DataRecipe)
    posterior: Posterior = field(default_factory=Evae)
    network: Network = field(default_factory=Conv)
    latent: int = 64
    optimisation: Optimisation = field(default_factory=Optimisation)
    evaluation: Evaluation = field(default_factory=Evaluation)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.latent < 1:
            raise UserError(f"the latent size must be at least 1, got {self.latent}")
        _check_seed(self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dicts of numbers, strings and None: JSON-ready, and the input of `from_dict`."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Recipe":
        """The recipe of such dicts. Missing keys take their defaults; unknown ones raise UserError."""
        return _from_dict(cls, given, "recipe")

    def configuration(self) -> str:
        """12 hex digits that name this configuration: the recipe without its seed, and without its epochs, which say
        how far it is trained."""
        given = self.to_dict() | {"seed": None}
        given["optimisation"].pop("epochs")
        return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:12]


def _check_seed(seed: int) -> None:
    # The generators of a trial are hashed from non-negative integers.
    if seed < 0:
        raise UserError(f"a seed must be 0 or more, got {seed}")


def _to_dict(part: Any) -> dict[str, Any]:
    plain = {"family": part.family} if hasattr(type(part), "family") else {}
    for item in dataclasses.fields(part):
        value = getattr(part, item.name)
        plain[item.name] = _to_dict(value) if dataclasses.is_dataclass(value) else value
    return plain


def _from_dict(cls: type, given: Mapping[str, Any], where: str) -> Any:
    if not isinstance(given, Mapping):
        raise UserError(f"{where} must be a table of keys and values, got {given!r}")
    given = dict(given)
    if cls in FAMILIES:
        families = FAMILIES[cls]
        family = given.pop("family", None)
        if family not in families:
            raise unknown(f"family of {where}", family, families)
        cls = families[family]
    known = typing.get_type_hints(cls)
    names = [item.name for item in dataclasses.fields(cls)]
    for key in given:
        if key not in names:
            raise unknown(f"key in {where}", key, names)
    return cls(**{key: _value(known[key], value, f"{where}.{key}") for key, value in given.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    """`value` checked against the field's type; an int is accepted where a float is due."""
    if dataclasses.is_dataclass(kind) or kind in FAMILIES:
        return _from_dict(kind, value, where)
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if float in kinds and type(value) is int:
        value = float(value)
    if type(value) not in kinds and not (value is None and type(None) in kinds):
        wanted = " or ".join(k.__name__ for k in kinds)
        raise UserError(f"{where} must be of type {wanted}, got {value!r}")
    return value
