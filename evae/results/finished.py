"""Finished trials of a study that can be taken up again: those whose weights it keeps."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from evae.errors import UserError
from evae.results.store import Store

Row = TypeVar("Row", bound=Mapping[str, Any])


def with_weights(store: Store, finished: Sequence[Row]) -> list[Row]:
    """Those of a study's finished trials, by their rows, whose weights are there. Raises UserError where none is."""
    if not finished:
        raise UserError(f"{store.location} has no finished trial yet: let it go on, or start its command again.")
    there = store.sizes("weights", ".safetensors")
    kept = [row for row in finished if row["trial"] in there]
    if not kept:
        raise UserError(
            f"{store.location} has {len(finished)} finished trials and no weights of theirs, which a study with "
            "--keep none does not keep: run it again, with them."
        )
    return kept
