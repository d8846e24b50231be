"""What pools hold: finished trials that studies may take instead of training them.

    python -m evae.pool list results
    python -m evae.pool check results elsewhere/results
    python -m evae.pool check results --retrain 0.03
    python -m evae.pool export results --to shared
    python -m evae.pool import shared --to results/shared

A path is the results of a study, or a folder of such. `check` reads every file: is it whole, is it what its name says,
does the recipe of each row and of its weights give its identity, and has no training two values; the exit status is 1
where something is wrong. With `--retrain 0.03` a random share of the finished trials, one at least, is trained again
and compared: exactly where the machine is of the same kind, else within the spread between seeds; the exit status is
then 0 only if all of these are as they were. `export` writes what is fine as one Parquet data set with a card, with
`--weights` and `--pictures` if these are wanted, too; `import` checks such a data set and copies it beside other
results.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.text import Text

from evae.commands import CALLED, run
from evae.errors import UserError, unknown
from evae.plugins import load

if TYPE_CHECKING:
    from evae.results.store import Store
    from evae.study.holdings import Checked

Paths = Annotated[
    tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH", help="results, or folders of them")
]
INTERRUPTED = 130
To = Annotated[str, tyro.conf.arg(help="a new folder, or URI")]


def show(paths: Paths) -> None:
    """What stores hold: trials, data, versions of the numbers, devices and size."""
    from evae.study.holdings import listed, stores

    console = Console(soft_wrap=True)
    for store in stores(_given(paths)):
        has = listed(store)
        console.print(
            Text(
                f"{has['results']}: {has['finished']} of {has['trials']} trials finished, {has['MB']} MB; data "
                f"{has['data']}; numbers of version {has['numbers']}; on {has['devices']}, threads: {has['threads']}"
            )
        )


def check(
    paths: Paths,
    retrain: Annotated[float | None, tyro.conf.arg(help="share of the finished trials to train again")] = None,
    seed: Annotated[int, tyro.conf.arg(help="of the draw: another one draws others")] = 0,
    data_root: Annotated[Path | None, tyro.conf.arg(help="folder that holds the data (default: ./data)")] = None,
    plugin: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(help="a plug-in of the trials; repeatable")
    ] = (),
) -> None:
    """Whether files are whole and say what they are, and if asked, whether trials come out again as they are. The exit
    status is 1 where something is wrong, or a trial that was drawn did not come out as it was."""
    from evae.study.holdings import check, stores

    if retrain is not None and not 0 < retrain <= 1:
        raise UserError(f"--retrain is the share of finished trials to train again: above 0, at most 1, not {retrain}")
    load(plugin)
    found = check(stores(_given(paths)))
    console = Console(soft_wrap=True)
    for problem in found.problems:
        console.print(Text(problem))
    fine, wrong = _are(len(found.fine), "finished trial"), _are(len(found.problems), "thing")
    console.print(f"{fine} fine; {wrong} not", highlight=False)
    good = not found.problems
    if retrain is not None:
        from evae.study.retraining import retrain as again

        try:
            good &= again(found, retrain, seed, data_root, console)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
    sys.exit(0 if good else 1)


def export(
    paths: Paths,
    to: To,
    licence: str = "other",
    weights: Annotated[bool, tyro.conf.arg(help="with the weights that were kept")] = False,
    pictures: Annotated[bool, tyro.conf.arg(help="with the pictures")] = False,
) -> None:
    """The finished trials in which nothing is wrong, as one Parquet data set with a card."""
    from evae.study.dataset import export
    from evae.study.holdings import check, stores

    found = check(stores(_given(paths)))
    target, count = export(found, to, licence, weights, pictures)
    _written(target, count, found)


def take_in(path: Annotated[str, tyro.conf.Positional], to: To) -> None:
    """Check a data set, and copy it beside other results."""
    from evae.study.dataset import take_in
    from evae.study.holdings import check, stores

    found = check(stores([path]))
    target, count = take_in(found, to)
    _written(target, count, found)


COMMANDS: dict[str, Callable[..., None]] = {"list": show, "check": check, "export": export, "import": take_in}


def _written(target: "Store", count: int, found: "Checked") -> None:
    from evae.study.holdings import listed

    left = f"; left out: {'; '.join(found.problems[:3])}" if found.problems else ""
    Console(soft_wrap=True).print(Text(f"{target.location}: {count} trials, {listed(target)['MB']} MB{left}"))


def _are(n: int, noun: str) -> str:
    return f"1 {noun} is" if n == 1 else f"{n} {noun}s are"


def _given(paths: tuple[str, ...]) -> tuple[str, ...]:
    if not paths:
        raise UserError("give the results of a study, or a folder of results")
    return paths


def main() -> None:
    """The command line."""
    name, *given = sys.argv[1:] or ["--help"]
    called = CALLED.get() or "python -m evae.pool"
    if name in ("-h", "--help"):
        print(f"usage: {called} COMMAND PATH ... [OPTIONS]\n\n{__doc__}")
        print(f"commands: {', '.join(COMMANDS)}; each has its --help")
    elif name not in COMMANDS:
        sys.exit(f"error: {unknown('command of a pool', name, COMMANDS)}")
    else:
        CALLED.set(f"{called} {name}")
        sys.argv = [sys.argv[0], *given]
        run(COMMANDS[name])


if __name__ == "__main__":
    main()
