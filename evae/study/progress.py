"""What a running study shows: trials done of total, the best of each objective, the time left."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ray.tune import Callback
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from evae.search import hindsight
from evae.search.configuration import Configuration
from evae.search.deciding import Deciding
from evae.search.outlook import outlook
from evae.search.searcher import OUTSIDE, StudySearcher
from evae.search.verdicts import sentence
from evae.study.notebook import NotebookLive

LINE_EVERY_S = 10.0
"""Where the output is not a terminal: at most one line in this many seconds, and one at the end."""
MANY = 10
"""After so many configurations of which none keeps to the constraints, that is said."""
SHOWN = 16
"""How many of the trials under way are shown."""


class StudyProgress(Callback):
    """A Tune callback that keeps the console up to date. Use as a context manager around the run."""

    def __init__(self, searcher: StudySearcher, console: Console, epochs: int):
        self.searcher, self.console, self.epochs = searcher, console, epochs
        self.before = self.done
        self.searcher.on_confirm = self.on_confirm
        if self.searcher.rungs is not None:
            self.searcher.rungs.on_change = self.on_rung
        self.started = self.spoken = time.monotonic()
        self.confirming = self.warned = False
        self.now: dict[str, str] = {}
        self.bar = Progress(
            TextColumn("[bold]trials"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self.task = self.bar.add_task("trials", total=self.total, completed=self.done, left="")
        self.live = Live(console=console, get_renderable=self._render, refresh_per_second=2, transient=True)
        self.notebook = NotebookLive(self._render) if console.is_jupyter else None

    def __getstate__(self) -> dict:
        # Tune pickles its callbacks for a restore of its own that we never ask for; a console cannot be pickled.
        return {}

    @property
    def total(self) -> int:
        return self.searcher.planned

    @property
    def done(self) -> int:
        return self.searcher.done

    def __enter__(self) -> "StudyProgress":
        if self.notebook is not None:
            self.notebook.start()
        elif self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.live.stop()
        if self.notebook is not None:
            self.now.clear()
            self.notebook.stop()

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self.now[trial.trial_id] = f"{result['trial']} epoch {result['epochs']}/{self.epochs}"
        if self.notebook is not None:
            self.notebook.refresh()

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self._ended(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self._ended(trial.trial_id)

    def on_taken(self) -> None:
        """The pool had a trial."""
        self._ended("")

    def on_confirm(self, more: Mapping[str, int]) -> None:
        """The search has chosen, and these configurations get so many fresh seeds; said of the first, and later no more
        often than how far the study is."""
        if not self.confirming or time.monotonic() - self.spoken > LINE_EVERY_S:
            self.confirming, self.spoken = True, time.monotonic()
            self.console.print(Text(confirming(more)))
        self.bar.update(self.task, total=self.total)

    def on_rung(self, epoch: int) -> None:
        """A rung begins or ceases to see something."""
        self.console.print(Text(self.searcher.rungs.sentence(epoch, named)))

    def _ended(self, trial_id: str) -> None:
        self.now.pop(trial_id, None)
        done, total = self.done, self.total
        left = self._left(done, total)
        self.bar.update(self.task, completed=done, total=total, left=left)
        if not self.warned and (word := out_of_reach(self.searcher)):
            self.warned = True
            self.console.print(Text(word))
        waited = time.monotonic() - self.spoken
        if self.notebook is not None:
            self.notebook.refresh()
        elif not self.console.is_terminal and (waited > LINE_EVERY_S or done == total):
            self.spoken = time.monotonic()
            best = [f"best {metric} {value:.4g} ({who})" for metric, value, who in self.best()]
            self.console.print(Text("; ".join([f"trials {done}/{total}, {left}", *best])))

    def _left(self, done: int, total: int) -> str:
        # What was taken from other studies took no time.
        new = done - self.before - self.searcher.taken
        if not new and done < total:
            return "time left: unknown yet"
        left = (time.monotonic() - self.started) / max(new, 1) * (total - done)
        return f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"

    def best(self) -> list[tuple[str, float, str]]:
        """(metric, best mean over seeds so far, whose it is) for each objective with a finished configuration."""
        found = []
        for index, (metric, direction) in enumerate(self.searcher.objectives):
            scored = [
                (means[index], describe(c))
                for c in self.searcher.configurations.values()
                if self.searcher.keeps(c)
                if (means := self.searcher.means(c)) is not None
            ]
            if scored:
                found.append((metric, *(min if direction == "min" else max)(scored)))
        return found

    def _render(self) -> Group:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("objective", "best so far", "by"):
            table.add_column(heading, style="dim" if heading == "by" else None)
        for metric, value, who in self.best():
            table.add_row(metric, f"{value:.4g}", Text(who))
        return Group(self.bar, table, *map(Text, list(self.now.values())[:SHOWN]))


def out_of_reach(searcher: StudySearcher) -> str:
    """What is to be said where many configurations are there, and none of them keeps to the constraints; or where the
    sampler has found no more that can. "" otherwise."""
    texts = " and ".join(each.text for each in searcher.constraints)
    if searcher.outside >= OUTSIDE:
        return f"{OUTSIDE} points in a row cannot keep to {texts}: the search ends here. Loosen --constraint for more."
    if not texts or len(searcher.tally.known) < MANY or searcher.tally.within:
        return ""
    known = [searcher.configurations[key] for key in searcher.tally.known]
    nearest = min(known, key=lambda c: (max(searcher.violations(c)), c.number))
    far = max(searcher.violations(nearest))
    return (
        f"none of the first {len(known)} configurations keeps to {texts}: the nearest, {describe(nearest)}, is "
        f"{100 * far:.3g} % of the limit away. Nothing is ranked until one does; loosen --constraint, or go on."
    )


def confirming(more: Mapping[str, int]) -> str:
    """How many configurations get how many fresh seeds now, in a line."""
    least, most = min(more.values()), max(more.values())
    seeds = f"{least} to {most} fresh seeds" if least < most else f"{most} fresh seed{'' if most == 1 else 's'}"
    return f"confirming {len(more)} configuration{'' if len(more) == 1 else 's'} with {seeds} each"


def describe(configuration: Configuration) -> str:
    """A configuration as the report names it: its label, or number and kernel or method ("#17 cosine")."""
    posterior = configuration.recipe.posterior
    return configuration.label or f"#{configuration.number} {getattr(posterior, 'kernel', posterior.family)}"


def summary(progress: StudyProgress, states: Sequence[str]) -> str:
    """How the trials of the study ended, in a line; with those of earlier sessions that this search does not count."""
    counts = {state: states.count(state) for state in sorted(set(states))}
    others = max(0, len(states) - progress.total)
    more = f", and {others} of earlier sessions that are not in its space" if others else ""
    return f"{progress.done} of {progress.total} trials{more}: " + ", ".join(f"{n} {s}" for s, n in counts.items())


def named(metric: str) -> str:
    """A metric that the search sees on the validation split, as the report names it."""
    return metric.removeprefix("val_")


def rungs_said(searcher: StudySearcher) -> list[str]:
    """What is known of each rung, and which would have been best, in a line each."""
    rungs = searcher.rungs
    said = [*(rungs.sentence(epoch, named) for epoch in rungs.epochs), hindsight.sentence(rungs)] if rungs else []
    return [*filter(None, said)]


def ahead(searcher: StudySearcher, trials: Sequence[Mapping[str, Any]], sampler: str) -> list[str]:
    """What more hours of a search by this sampler would buy, from the rows of the study's trials, in a line; none where
    nothing can be said, as of a grid."""
    found = outlook(trials, searcher.objectives, searcher.constraints, sampler)
    return [found.sentence()] if found else []


def verdicts(searcher: StudySearcher, finished: bool = True) -> list[str]:
    """The verdict of each claim, and of a study that has finished why no more seeds are trained, in a line each."""
    policy = searcher.confirmation
    if not isinstance(policy, Deciding):
        return []
    found = [sentence(verdict) for verdict in policy.verdicts(searcher.configurations)]
    return [*found, *filter(None, [policy.ending(searcher.configurations) if finished else ""])]
