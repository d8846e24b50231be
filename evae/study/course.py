"""The course of a session, whether machines are needed or not: its row in the table, whoever follows it told from its
beginning on, and what is said at its end."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from evae.callbacks import callback
from evae.results.compaction import tidied
from evae.results.rows import close_row
from evae.results.store import Store
from evae.search.journal import Journal
from evae.search.searcher import StudySearcher
from evae.study.followers import Callbacks, Followers
from evae.study.manifest import Manifest
from evae.study.options import StudyOptions
from evae.study.pool import StudyPool
from evae.study.progress import StudyProgress, ahead, rungs_said, summary, verdicts
from evae.study.tracking import Tracking

Told = tuple[StudyProgress, Followers]


@contextlib.contextmanager
def course(
    searcher: StudySearcher,
    manifest: Manifest,
    options: StudyOptions,
    store: Store,
    pool: StudyPool,
    console: Console,
) -> Iterator[Told]:
    """Inside, trials are taken and trained; of those that Tune trains it tells what is yielded. A session that
    ends before anything was taken, and before there were machines, leaves no row: what it asked binds no other."""
    progress = StudyProgress(searcher, console, options.epochs)
    trackers = [Tracking(name, options.name, store, console) for name in dict.fromkeys(options.track)]
    callbacks = Callbacks([*(made() for made in callback.values()), *trackers], console)
    followers = Followers(callbacks, store)

    def taken(row: Mapping[str, Any]) -> None:
        progress.on_taken()
        followers.on_taken(row)

    searcher.on_taken = taken
    manifest.begin(store, options.sampler)
    callbacks.call("study_start", manifest.row)
    state, interrupted = "failed", None
    try:
        with progress, Journal(store, options.name, searcher):
            yield progress, followers
        state = "finished" if progress.done == progress.total else "stopped"
    except KeyboardInterrupt as error:
        state, interrupted = "stopped", error
    finally:
        _cancel_running(store)
        followers.close()
        manifest.close(store, state)
        callbacks.call("study_end", manifest.row)
        begun = state == "finished" or searcher.taken > 0 or manifest.row["slots"] is not None
        if not begun:
            manifest.withdraw(store)
    if begun:
        _conclude(searcher, progress, state, options, store, pool, console)
    if interrupted:
        raise interrupted


def _conclude(
    searcher: StudySearcher,
    progress: StudyProgress,
    state: str,
    options: StudyOptions,
    store: Store,
    pool: StudyPool,
    console: Console,
) -> None:
    """Compact the results, and say what came out."""
    for line in tidied(store):
        console.print(Text(line))
    trials = store.rows("trials")
    console.print(summary(progress, [row["state"] for row in trials]))
    said = [*rungs_said(searcher), *ahead(searcher, trials, options.sampler), *pool.said()]
    for line in [*said, *verdicts(searcher, state == "finished")]:
        console.print(Text(line))
    if searcher.exhausted and len(searcher.configurations) < options.trials:
        console.print(f"The search came up with no more than these {len(searcher.configurations)} configurations.")
    if state == "stopped":
        console.print("Stopped before the end; every finished trial is kept. The same command continues the study.")


def _cancel_running(store: Store) -> None:
    for row in store.rows("trials"):
        if row["state"] == "running":
            close_row(store, row["trial"], "cancelled", "the study was stopped")
