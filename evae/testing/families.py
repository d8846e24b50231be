"""All checks of whatever a plug-in has registered."""

import traceback
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from evae.errors import UserError
from evae.plugins import Plugin
from evae.registry import REGISTRIES, registered_by
from evae.testing import (
    criteria,
    densities,
    discriminators,
    inference,
    likelihoods,
    metrics,
    networks,
    perceptual,
    posteriors,
    priors,
    sources,
)
from evae.testing.contract import Broken, Check

CHECKS: dict[str, tuple[Check, ...]] = {
    "posterior": posteriors.CHECKS,
    "network": networks.CHECKS,
    "likelihood": likelihoods.CHECKS,
    "prior": priors.CHECKS,
    "criterion": criteria.CHECKS,
    "density": densities.CHECKS,
    "discriminator": discriminators.CHECKS,
    "inference": inference.CHECKS,
    "data source": sources.SOURCE,
    "features": sources.FEATURES,
    "metric": metrics.CHECKS,
    "perceptual distance": perceptual.CHECKS,
    "sampler": sources.SAMPLER,
    "callback": sources.CALLBACK,
    "tracker": sources.TRACKER,
}
WITH_HYPERPARAMETERS = (
    "posterior",
    "network",
    "likelihood",
    "prior",
    "criterion",
    "density",
    "discriminator",
    "inference",
)


@dataclass(frozen=True)
class Result:
    """A check of one family: `fault` says what is wrong, with the traceback where a method raised; None if nothing."""

    kind: str
    name: str
    check: str
    fault: str | None


def run(plugin: Plugin) -> Iterator[Result]:
    """Check all that an imported plug-in has registered; families with their default hyperparameters."""
    for kind, name in registered_by(plugin.name):
        try:
            given = example(kind, REGISTRIES[kind][name])
        except Exception as error:
            yield Result(kind, name, "made without arguments", f"__init__: {error}. Every field needs a default.")
            continue
        for check in CHECKS[kind]:
            yield Result(kind, name, check.__name__.replace("_", " "), fault(check, given))


def example(kind: str, value: Any) -> Any:
    """What the checks of this kind take: a family's object with its defaults, or what was registered itself."""
    return value() if kind in WITH_HYPERPARAMETERS else value


def fault(check: Check, given: Any) -> str | None:
    """What is wrong, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(given)
    except Broken as error:
        return str(error)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "/evae/testing/" not in frame.filename.replace("\\", "/")]
        return "".join(traceback.format_list(own) + traceback.format_exception_only(error)).rstrip()
    return None


def require(plugins: Iterable[Plugin]) -> None:
    """Raise UserError for the first family of these plug-ins that breaks its contract."""
    for plugin in plugins:
        for result in run(plugin):
            if result.fault:
                raise UserError(
                    f"the {result.kind} {result.name!r} of the plug-in {plugin.name} breaks its contract "
                    f"({result.check}):\n\n{result.fault}\n\n`python -m evae.testing {plugin.path or plugin.name}` "
                    "runs all checks."
                )
