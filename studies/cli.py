"""From the command line to a report: the way that every study file takes."""

import inspect
import sys
from types import ModuleType

import tyro
from rich.console import Console

from analysis.report import write_report
from evae.errors import UserError
from evae.tuning.options import StudyOptions
from evae.tuning.space import Space
from evae.tuning.study import run_study


def main(options: type[StudyOptions], space: Space, study: ModuleType) -> None:
    """Parse the command line, run the study, write its report and say where it is.

    The first line of the study file's docstring is the question that its report answers. Exits with status 2 and one
    message for whatever the user gave that cannot be done.
    """
    description = inspect.getdoc(study) or ""
    console = Console(soft_wrap=True)
    try:
        given = tyro.cli(options, description=description)
        store = run_study(description.splitlines()[0], space, given, console)
        console.print(f"report: {write_report(store.location)}", highlight=False)
    except UserError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/bold red] {error}", highlight=False)
        sys.exit(2)
