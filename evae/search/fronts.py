"""Points that come one after another, and which front each is on, kept up to date: with 10,000 points, putting all of
them in order whenever one comes takes longer than a trial may wait."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np

from evae.search.pareto import layers, spread

ROOM = 256
"""Points that there is room for at first."""


class Fronts:
    """`values` (n, objectives), to be minimised, in the order in which they came.

    Of two objectives fronts are kept: a new point takes the place of those on its front that it dominates, these take
    that of those they dominate on the next, and so on (Li et al., Efficient nondomination level update method for
    steady-state evolutionary multiobjective optimization, IEEE Trans. Cybern. 47 (2017), 2838-2849). Along a front one
    value rises as the other falls, so that those are next to each other. Of other numbers of objectives, fronts are
    found anew where they are asked for.
    """

    def __init__(self, objectives: int):
        self.n, self._values = 0, np.empty((ROOM, objectives))
        self._fronts: list[tuple[list[float], list[float], list[int]]] = []
        """Of each front the first value, rising; the second, times -1 and therefore rising too; and which point it is.
        """
        self._of_newest = 0

    @property
    def values(self) -> np.ndarray:
        return self._values[: self.n]

    def add(self, value: np.ndarray) -> None:
        if self.n == len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._values[self.n] = value
        self.n += 1
        if self._values.shape[1] == 2:
            one, two = value.tolist()
            self._of_newest = self._insert([one], [-two], [self.n - 1])

    def _insert(self, ones: list[float], twos: list[float], points: list[int]) -> int:
        """The front on which they are now."""
        at = bisect_left(range(len(self._fronts)), True, key=lambda front: not self._is_behind(front, ones[0], twos[0]))
        first = at
        while points:
            if at == len(self._fronts):
                self._fronts.append(([], [], []))
            front = self._fronts[at]
            start = bisect_left(front[0], ones[0])
            end = max(start, bisect_right(front[1], twos[-1]))
            if end > start and (front[0][start], front[1][start]) == (ones[0], twos[0]):
                end = start  # the same point is there: it has taken its place already
            behind = [part[start:end] for part in front]
            for part, new in zip(front, (ones, twos, points), strict=True):
                part[start:end] = new
            (ones, twos, points), at = behind, at + 1
        return first

    def _is_behind(self, front: int, one: float, two: float) -> bool:
        """Whether a point of a front dominates this one."""
        ones, twos, _ = self._fronts[front]
        last = bisect_right(ones, one) - 1
        return last >= 0 and twos[last] >= two and (ones[last], twos[last]) != (one, two)

    def fronts(self) -> Iterator[np.ndarray]:
        """The points of each front, from the best, in the order in which they came."""
        if self._values.shape[1] == 2:
            return (np.sort(points) for _, _, points in self._fronts)
        rank = layers(self.values)
        return (np.flatnonzero(rank == layer) for layer in range(rank.max(initial=-1) + 1))

    def place(self) -> int:
        """The place of the newest in the order from best to worst: by front, within one by the epsilon-net."""
        if self._values.shape[1] == 2:
            before = sum(len(points) for _, _, points in self._fronts[: self._of_newest])
            alike = np.sort(self._fronts[self._of_newest][2])
        else:
            rank = layers(self.values)
            before, alike = (rank < rank[-1]).sum(), np.flatnonzero(rank == rank[-1])
        return int(before) + spread(self.values[alike], until=len(alike) - 1).index(len(alike) - 1)
