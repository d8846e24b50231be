"""A study's results for version control: what its report needs, without weights, pictures, places, machines' names.

    python -m evae.publish results/kernel-sweep --to published
    python analysis/report.py published/kernel-sweep --output report.html

Each study becomes a folder of its name, of a few Parquet files; what was published of it before is replaced.
"""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from evae.commands import run
from evae.errors import UserError


def main(
    results: Annotated[tuple[str, ...], Positional, arg(metavar="RESULTS", help="results of studies")],
    to: Annotated[Path, arg(metavar="FOLDER", help="where folders of the studies' names are made")],
) -> None:
    """Write what reports need of studies: Parquet without weights, pictures, places and machines' names."""
    # Imported when needed: --help and wrong options need not wait for it.
    from evae.results.publication import publish
    from evae.results.store import Store

    if not results:
        raise UserError("give the results of a study")
    for place in results:
        target, nbytes = publish(Store(place), to)
        print(f"{target}: {nbytes / 2**20:.1f} MiB")


if __name__ == "__main__":
    run(main)
