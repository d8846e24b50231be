"""What a check of a cluster has found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What was checked, and what to do if it is not ok."""

    ok: bool
    what: str
    remedy: str = ""
