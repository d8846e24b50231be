"""What a study asks of the machines."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Where the machines are, and what a trial takes of them.

    `address` is that of a running Ray cluster, None for this machine alone. A trial has `workers` processes with
    `cpus` cores and `gpus` GPUs each (None: one GPU where there are any); at most `trials_at_once` are under way at a
    time, by default as many as there is room for.
    """

    address: str | None = None
    workers: int = 1
    cpus: float = 1
    gpus: float | None = None
    trials_at_once: int | None = None
