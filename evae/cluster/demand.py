"""What a study asks of the machines."""

from dataclasses import dataclass

from evae.errors import UserError
from evae.hardware import accelerator

AUTO = "auto"
MOST_LANES = 24
"""torch has 32 streams of a GPU, and who had to share one would record the other's work: some remain for the threads
that measure, and for captures."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Where the machines are, and what a trial takes of them.

    `address` is that of a running Ray cluster, None for this machine alone. A trial has `workers` processes with
    `cpus` cores and `gpus` GPUs each (None: one GPU where there are any); at most `trials_at_once` are under way at a
    time, by default as many as there is room for. `lanes` trials share one such process; AUTO leaves it open.

    Raises UserError for lanes that cannot be: a study that `measures_cost` has none, for one.
    """

    address: str | None = None
    workers: int = 1
    cpus: float = 1
    gpus: float | None = None
    trials_at_once: int | None = None
    lanes: int | str = AUTO
    measures_cost: bool = False

    def __post_init__(self) -> None:
        if self.lanes == AUTO:
            return
        if not isinstance(self.lanes, int) or not 1 <= self.lanes <= MOST_LANES:
            raise UserError(f"--lanes must be auto or a number from 1 to {MOST_LANES}, got {self.lanes}")
        if self.lanes > 1 and (why := self._alone):
            raise UserError(f"--lanes {self.lanes}: {why}; give --lanes 1, or leave it out")

    @property
    def device(self) -> str:
        """What a trial runs on, on this machine alone."""
        here = "cpu" if self.gpus == 0 else accelerator()
        return "cpu" if here == "mps" and self.workers > 1 else here

    @property
    def threads(self) -> int:
        """Of a process."""
        return max(1, int(self.cpus))

    @property
    def may_share(self) -> bool:
        """Whether trials may share a process."""
        return self.lanes != 1 and self._alone is None

    @property
    def _alone(self) -> str | None:
        """Why a process trains one trial at a time, if it has to."""
        if self.workers > 1:
            return "with --workers-per-trial a trial has processes of its own, and shares none"
        if self.gpus not in (None, 0, 1):
            return "lanes share one whole GPU, and --gpus-per-worker gives a process more or less than that"
        if self.measures_cost:
            return "what models cost, for which this study asks, is measured where nothing else is trained"
        return None
