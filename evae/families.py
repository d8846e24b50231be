"""Families by kind, and the plain-dict form of dataclasses that hold some of them."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from evae.criteria import Criterion, criterion
from evae.densities import Density, density
from evae.errors import UserError, unknown
from evae.inference import Inference, inference
from evae.likelihoods import Likelihood, likelihood
from evae.networks import Discriminator, Network, discriminator, network
from evae.posteriors import Posterior, posterior
from evae.priors import Prior, prior
from evae.registry import Registry

FAMILIES: dict[type, Registry] = {
    Posterior: posterior,
    Likelihood: likelihood,
    Network: network,
    Discriminator: discriminator,
    Prior: prior,
    Criterion: criterion,
    Density: density,
    Inference: inference,
}


def to_dict(part: Any) -> dict[str, Any]:
    """The fields of a dataclass as plain values, with its family's name where there are several, and without what is
    left out at its default."""
    named = hasattr(type(part), "family") and not getattr(type(part), "unnamed", False)
    plain = {"family": part.family} if named else {}
    for item in dataclasses.fields(part):
        value = getattr(part, item.name)
        if item.metadata.get("left_out_at_default") and value == _default(item):
            continue
        plain[item.name] = _plain(value)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return to_dict(value) if dataclasses.is_dataclass(value) else value


def _default(item: dataclasses.Field) -> Any:
    return item.default if item.default_factory is dataclasses.MISSING else item.default_factory()


def from_dict(cls: type, given: Mapping[str, Any], where: str) -> Any:
    """The dataclass of such values, or of the kind `cls` that of the named family; `where` is what messages call it.

    Raises UserError for unknown keys and families, and for values of another type.
    """
    if not isinstance(given, Mapping):
        raise UserError(f"{where} must be a table of keys and values, got {given!r}")
    given = dict(given)
    if cls in FAMILIES:
        families = FAMILIES[cls]
        family = given.pop("family", next((n for n, f in families.items() if getattr(f, "unnamed", False)), None))
        if family not in families:
            raise unknown(f"family of {where}", family, families)
        cls = families[family]
    known = _types(cls)
    names = [item.name for item in dataclasses.fields(cls)]
    for key in given:
        if key not in names:
            raise unknown(f"key in {where}", key, names)
    return cls(**{key: checked(known[key], value, f"{where}.{key}") for key, value in given.items()})


@cache
def _types(cls: type) -> dict[str, Any]:
    """The types of a dataclass's fields by name. They are written as text, and to read it takes a while."""
    return typing.get_type_hints(cls)


def checked(kind: Any, value: Any, where: str) -> Any:
    """`value` checked against the field's type; an int is accepted where a float is due."""
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise UserError(f"{where} must be a list, got {value!r}")
        return tuple(checked(typing.get_args(kind)[0], part, f"{where}[{i}]") for i, part in enumerate(value))
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if value is None and type(None) in kinds:
        return None
    for part in kinds:
        if typing.get_origin(part) is tuple and (len(kinds) == 1 or isinstance(value, list | tuple)):
            return checked(part, value, where)
        if dataclasses.is_dataclass(part) or part in FAMILIES:
            return from_dict(part, value, where)
    if float in kinds and type(value) is int:
        value = float(value)
    if type(value) not in kinds:
        wanted = " or ".join(str(k) if typing.get_origin(k) else k.__name__ for k in kinds)
        raise UserError(f"{where} must be of type {wanted}, got {value!r}")
    return value
