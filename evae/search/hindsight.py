"""Which rung would have been best so far: the trials that came to a rung and to the end, stopped there after all.

The search is replayed from what was measured, at each rung by itself, with the study's own rule and without asking
whether the rung sees. What it keeps of the hypervolume is compared with what as many epochs find in trials that all run
to their end: stopping pays where it keeps more. Trials are those that a rung learns from (`Rungs.pairs`), survivors of
none; they are few, and the order in which they came is chance, so that means over some orders are taken.
"""

from dataclasses import dataclass

import numpy as np

from evae.search.fronts import Fronts
from evae.search.hypervolume import hypervolume
from evae.search.pareto import nondominated
from evae.search.rungs import Rule, Rungs

LEAST = 20
"""Trials that it takes to say something."""
MOST = 100
"""Of more trials than these the last are taken: a replay looks at all earlier ones again and again."""
ORDERS = 20


@dataclass(frozen=True)
class Replay:
    """A rung after `epoch` would have `kept` so much of the hypervolume of its `trials`, for this share of their
    `epochs`; in as many, trials that run to their end find `without`."""

    epoch: int
    trials: int
    kept: float
    epochs: float
    without: float


def replays(rungs: Rungs) -> list[Replay]:
    """Each rung to which enough trials came, with two objectives or more."""
    found = []
    for epoch in rungs.epochs if len(rungs.objectives) > 1 else ():
        pairs = np.array(rungs.pairs[epoch, rungs.planned][-MOST:])
        if len(pairs) >= LEAST and (np.ptp(pairs[:, 1], axis=0) > 0).all():
            found.append(_replay(epoch, rungs.planned, rungs.rule, pairs[:, 0], pairs[:, 1]))
    return found


def sentence(rungs: Rungs) -> str:
    """The best rung in words; "" where nothing is known."""
    known = replays(rungs)
    if not known:
        return ""
    best = max(known, key=lambda one: one.kept - one.without)
    after = f"after {best.epoch} epoch{'' if best.epoch == 1 else 's'}"
    pays = best.kept > best.without
    said = f"The rung {after} would have been the best so far" if pays else "No rung would have paid so far"
    return (
        f"{said}: of {best.trials} trials that ran to their end, stopping {after} alone would have kept "
        f"{100 * best.kept:.0f} % of the hypervolume for {100 * best.epochs:.0f} % of the epochs, and as many epochs "
        f"without stopping find {100 * best.without:.0f} %."
    )


def _replay(epoch: int, planned: int, rule: Rule, early: np.ndarray, final: np.ndarray) -> Replay:
    random, n = np.random.default_rng(0), len(final)
    points = (final - final.min(axis=0)) / np.ptp(final, axis=0)
    whole = _volume(points)
    found = []
    for _ in range(ORDERS):
        order = random.permutation(n)
        come, stays = Fronts(early.shape[1]), np.ones(n, bool)
        for i, value in enumerate(early[order]):
            come.add(value)
            stays[i] = rule(come) is None
        epochs = (stays.sum() * planned + (~stays).sum() * epoch) / (n * planned)
        without = np.mean([_volume(points[random.permutation(n)[: round(epochs * n)]]) for _ in range(ORDERS)])
        found.append((_volume(points[order[stays]]), epochs, without))
    kept, epochs, without = np.mean(found, axis=0)
    of = whole or 1.0
    return Replay(epoch, n, float(kept / of), float(epochs), float(without / of))


def _volume(points: np.ndarray) -> float:
    return hypervolume(points[nondominated(points)], np.ones(points.shape[1]))
