"""Check a plug-in: `python -m evae.testing my_plugin.py` says of each family what it does not do."""

import sys
from typing import Annotated

import tyro
from rich.console import Console

from evae.errors import UserError


def main(
    plugin: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="PLUGIN", help="a Python file, or an installed module")
    ],
) -> int:
    """Run the checks of every family that a plug-in registers. The exit status is 1 where one does not hold."""
    from evae.plugins import load
    from evae.testing.families import run

    console = Console(soft_wrap=True, highlight=False, emoji=False)
    broken = 0
    for found in load([plugin]):
        for result in run(found):
            broken += result.fault is not None
            mark = "bad" if result.fault else "ok "
            console.print(f"{mark} {result.kind} {result.name}: {result.check}", markup=False)
            if result.fault:
                console.print(result.fault + "\n", markup=False)
    console.print(f"{broken} check(s) do not hold." if broken else "All checks hold.", markup=False)
    return int(broken > 0)


if __name__ == "__main__":
    try:
        sys.exit(tyro.cli(main))
    except UserError as error:
        Console(stderr=True, soft_wrap=True, emoji=False).print(f"error: {error}", markup=False, highlight=False)
        sys.exit(2)
