"""Bring the results of an earlier version to the present layout.

    python -m evae.upgrade results/kernel-sweep
    python -m evae.upgrade results/kernel-sweep --apply

Every version reads the results of earlier ones as they are: this is for who wants to find in them the columns that
later versions write. The first command says what would be done, and changes nothing. docs/upgrading.md tells what
changed between versions.
"""

import dataclasses
import sys
from dataclasses import dataclass
from typing import Annotated

from rich.console import Console
from rich.text import Text
from tyro.conf import Positional, arg

from evae.commands import parse
from evae.errors import UserError
from evae.results import places

INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class UpgradeOptions:
    """What is to be upgraded."""

    results: Annotated[str, Positional, arg(metavar="RESULTS")] = dataclasses.field(repr=False)  # which may hold a key
    """The results of a study: a folder, or a URI of a file system that pyarrow knows."""
    apply: bool = False
    """Do it; by default only what there is to do is said."""

    def __post_init__(self) -> None:
        places.check(self.results)


def main() -> None:
    """The command line."""
    console = Console(soft_wrap=True)
    try:
        options = parse(UpgradeOptions, __doc__)
        # Imported when needed: --help and wrong options need not wait for it.
        from evae.results.store import Store
        from evae.study.upgrading import upgrade

        upgrade(Store(options.results), console, options.apply)
    except UserError as error:
        Console(stderr=True, soft_wrap=True).print(Text(f"error: {error}"))
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("Stopped; the same command goes on with the rest.")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
