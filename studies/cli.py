"""From the command line to a report: the way that every study file takes."""

import inspect
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.text import Text
from tyro.conf import Suppress

from evae.commands import parse
from evae.errors import UserError
from evae.study.config import written
from evae.study.options import StudyOptions
from studies.configured import configured, name_of

if TYPE_CHECKING:
    from evae.results.store import Store

INTERRUPTED = 130
"""The exit status that shells give to a command ended by Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class GridOptions(StudyOptions):
    """The options of a study, without those of a search: a grid says what is trained. It chooses nothing, since all of
    its points are stated beforehand, so that there is nothing to confirm: more --seeds serve all points alike."""

    trials: Annotated[int, Suppress] = 1
    sampler: Annotated[str, Suppress] = "random"
    sampler_seed: Annotated[int, Suppress] = 0
    confirm: int = 0
    """Fresh seeds, at the end, for the points on the front and the best of each method and kernel."""


def side_by_side(metrics: Sequence[str]) -> Callable[["Store"], str]:
    """What `main` may close with: a table of the configurations' means of these metrics."""

    def closing(store: "Store") -> str:
        from analysis.study.load import load
        from analysis.views.side_by_side import as_markdown

        return as_markdown(load(store), metrics)

    return closing


def run(
    options: StudyOptions, study: ModuleType | None = None, space: str | None = None, console: Console | None = None
) -> "Store":
    """Run a study from Python, as in a notebook: `run(KernelSweep(name="first", trials=4))`. Returns its store.

    `study` is the module that the options are of, `space` the name of another search space than theirs. What was
    interrupted (KeyboardInterrupt) the same call continues. Raises UserError for what cannot be done.
    """
    # Both would have widgets in a notebook, which nothing here needs.
    logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "IProgress not found")
    from evae.study.run import run_study

    study = study or sys.modules[type(options).__module__]
    in_file = getattr(study, "__file__", None) is not None  # and not typed into a notebook
    question = inspect.getdoc(study if in_file else type(options)) or ""
    repeated_by = written(options, name_of(study), space) if in_file else b""
    return run_study(question.partition("\n")[0], options, console or Console(soft_wrap=True), repeated_by)


def main(options: type[StudyOptions], study: ModuleType, closing: Callable[["Store"], str] | None = None) -> None:
    """Parse the command line, run the study, write its report and say where it is.

    The first line of the study file's docstring is the question that its report answers. `closing` may add a text
    made from the store of the results. Exits with status 2 and one message for whatever the user gave that cannot be
    done, and with 130 after Ctrl-C.
    """
    description = inspect.getdoc(study) or ""
    console = Console(soft_wrap=True)
    try:
        options, config = configured(options, study)
        given = parse(options, description, config.arguments)
        # Imported when needed: --help and wrong options need not wait for it.
        from evae.results.store import Store

        store, interrupted = Store(given.location), False
        try:
            run(given, study, config.space, console)
        except KeyboardInterrupt:
            interrupted = True
        if given.dry_run:
            return
        if interrupted and not store.read("trials").num_rows:
            console.print("Stopped before the first trial.")
            sys.exit(INTERRUPTED)
        if closing is not None:
            console.print(Text(closing(store)))
        from analysis.report import write_report

        # The report of a study in an object store is written here, where a browser can open it.
        report = write_report(store, None if store.is_local else f"{given.name}.html")
        console.print(Text(f"report: {report}"))
        if interrupted:
            sys.exit(INTERRUPTED)
    except UserError as error:
        Console(stderr=True, soft_wrap=True).print(Text(f"error: {error}"))
        sys.exit(2)
