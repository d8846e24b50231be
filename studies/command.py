"""All commands under one name: `evae study kernel-sweep`, `evae report results/kernel-sweep`, ...

Each runs the file or module that `python` runs too, with the same options.
"""

import ast
import os
import runpy
import sys
from pathlib import Path

from evae.commands import CALLED
from evae.errors import UserError, unknown

COMMANDS = {
    "report": ("analysis.report", "one page about a study; --watch while it runs"),
    "compare": ("analysis.compare", "several studies side by side"),
    "claims": ("analysis.claims", "what studies say of the claims that they have in common: tables, and a picture"),
    "measure": ("evae.measure", "measure a finished study again from its weights"),
    "export": ("evae.export", "the best model of a study as a folder that stands alone"),
    "publish": ("evae.publish", "a study's results for version control, without weights and places"),
    "sample": ("evae.sample", "new images of a trained model"),
    "encode": ("evae.encode", "the codes of a data set under a trained model"),
    "pool": ("evae.pool", "finished trials for other studies: list, check, export, import"),
    "repeat": ("evae.repeat", "train one recipe again, and print what it measures"),
    "upgrade": ("evae.upgrade", "bring the results of an earlier version to the present layout"),
    "doctor": ("evae.doctor", "is this machine, or this cluster, fit for a study?"),
}
NO_STUDIES = ("__init__", "cli", "command", "configured")
HELP = ("-h", "--help")


def main() -> None:
    """The command line."""
    command, *given = sys.argv[1:] or ["--help"]
    try:
        if command in HELP:
            print(_help())
        elif command == "study":
            _study(given)
        elif command in COMMANDS:
            _run(COMMANDS[command][0], f"evae {command}", given)
        else:
            raise unknown("command", command, ["study", *COMMANDS])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def studies() -> dict[str, str]:
    """The question of each study by its name, the first line of its docstring; nothing is imported."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return {
        file.stem.replace("_", "-"): (ast.get_docstring(ast.parse(file.read_bytes())) or "").partition("\n")[0]
        for file in files
        if file.stem not in NO_STUDIES
    }


def _study(given: list[str]) -> None:
    name, *given = given or ["--help"]
    known = studies()
    if name in HELP:
        for start, what in (("usage:", "NAME"), ("      ", "FILE.py"), ("      ", "FILE.toml")):
            print(f"{start} evae study {what} [OPTIONS]")
        print()
        print(_table(known), "\n\nevae study NAME --help says what a study's options are.", sep="")
    elif name.endswith(".toml"):
        _study([_study_of(name), "--config", name, *given])
    elif name.endswith(".py"):
        _run_file(name, given)
    elif (study := name.replace("_", "-")) in known:
        _run(f"studies.{study.replace('-', '_')}", f"evae study {study}", given)
    else:
        raise unknown("study", name, known)


def _study_of(path: str) -> str:
    """The study that a file of options is of."""
    from evae.study.config import parsed

    study = parsed(path).get("study")
    if not isinstance(study, str) or study.endswith(".toml"):
        raise UserError(f'{path} does not say of which study it is: add study = "kernel-sweep", or another.')
    return study


def _run(module: str, called: str, given: list[str]) -> None:
    CALLED.set(called)
    sys.argv = [module, *given]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _run_file(path: str, given: list[str]) -> None:
    """A study of the user's own, as `python` would run it."""
    if not os.path.isfile(path):
        raise UserError(f"there is no file {path}: give a study's file, or one of ours by name: {', '.join(studies())}")
    CALLED.set(f"evae study {path}")
    sys.argv = [path, *given]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    runpy.run_path(path, run_name="__main__")


def _help() -> str:
    commands = {"study NAME": "train a study, and write its report"} | {n: what for n, (_, what) in COMMANDS.items()}
    return (
        "usage: evae COMMAND [OPTIONS]\n\nStudies of variational autoencoders.\n\n"
        f"{_table(commands)}\n\nstudies:\n{_table(studies())}\n\nevae COMMAND --help says what a command's options are."
    )


def _table(rows: dict[str, str]) -> str:
    width = max(map(len, rows))
    return "\n".join(f"  {name:{width}}  {what}" for name, what in rows.items())
