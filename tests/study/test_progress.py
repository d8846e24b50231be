"""What a running study says of its trials."""

import io
import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from driving import LINE, OBJECTIVES, drive, searcher, suggest_beta
from rich.console import Console

from analysis.study.tables import name
from evae.search.claims import Comparison, Stated
from evae.search.confirmation import Confirmation
from evae.search.deciding import Deciding
from evae.search.space import Control, Space
from evae.study.progress import StudyProgress, ahead, confirming, describe, summary, verdicts
from search_spaces.kernels import SPACE


def test_the_console_names_configurations_as_the_report_does():
    search = searcher(SPACE, total=12)
    said = [describe(search.configurations[row["configuration"]]) for row in drive(search)]
    recipes = [(c, c.recipe.to_dict()["posterior"]) for c in search.configurations.values()]
    assert said == [name(c.label, c.number, posterior.get("kernel"), posterior["family"]) for c, posterior in recipes]
    assert {"kernel" in posterior for _, posterior in recipes[-8:]} == {True, False}


BRACKETS = Space(suggest_beta, (Control("[red]beta :car: [/x]", {"beta": 1.0}),))


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.mark.parametrize("finite", [True, False])
def test_a_line_of_progress_ends_where_its_words_do(finite):
    """Where no trial has a finite objective there is no best one; and names are not markup."""
    search, shown = searcher(BRACKETS, total=1), console()
    progress = StudyProgress(search, shown, epochs=3)
    drive(search, lambda job: {"state": "finished", "val_a": 0.5 if finite else math.inf, "val_b": 1.0})
    with progress:
        progress.on_trial_complete(0, [], SimpleNamespace(trial_id="x"))
    best = "; best val_a 0.5 ([red]beta :car: [/x]); best val_b 1 ([red]beta :car: [/x])" if finite else ""
    assert shown.file.getvalue() == f"trials 1/1, about 0 s left{best}\n"


def test_what_was_taken_from_other_studies_says_nothing_of_the_time_left():
    search = searcher(BRACKETS, total=9)
    progress = StudyProgress(search, console(), epochs=3)
    progress.started, search.taken = time.monotonic() - 600, 7
    assert progress._left(done=7, total=9) == "time left: unknown yet"
    assert progress._left(done=8, total=9) == "about 10 min left"


def test_it_says_what_is_confirmed_and_counts_it():
    search, shown = searcher(LINE, total=4, confirmation=Confirmation(2, OBJECTIVES)), console()
    progress = StudyProgress(search, shown, epochs=3)
    assert (progress.done, progress.total) == (0, 8)
    rows = drive(search)
    fresh = [row["configuration"] for row in rows if row["role"] == "confirm"]
    said = f"confirming {len(set(fresh))} configurations with 2 fresh seeds each\n"
    assert shown.file.getvalue() == said and progress.done == progress.total == 4 + len(fresh)


def test_the_verdicts_are_said_and_why_nothing_more_is_trained():
    claim = Stated(Comparison("one < two in a", "one", "two", True, 1.0, "val_a", "min"), "s")
    late = replace(claim, claim=replace(claim.claim, text="one > two in a", less=False))
    policy = Deciding(2, OBJECTIVES, claims=[claim, late], until_decided=True)
    search = searcher(LINE, total=2, confirmation=policy)
    drive(search, lambda job: {"state": "finished", "val_a": job.number + 1.0, "val_b": 0.0, "wall_s": 60.0})
    assert verdicts(search) == [
        "holds: one < two in a (difference -1 (50 % less), between -1 and -1, 4 fresh seeds)",
        "does not hold: one > two in a (difference -1 (50 % less), between -1 and -1, 4 fresh seeds)",
        "All is decided.",
    ]
    assert verdicts(search, finished=False) == verdicts(search)[:2]
    undecided = searcher(LINE, total=2, confirmation=replace(policy, claims=[claim], until_decided=False))
    drive(
        undecided,
        lambda job: {
            "state": "finished",
            "val_a": job.number + job.seed % 1000 / 10 * job.number,
            "val_b": 0.0,
            "wall_s": 60.0,
        },
    )
    (line,) = verdicts(undecided)
    assert line.startswith(
        "undecided: one < two in a (difference -1.05 (100 % less), 2 fresh seeds, about 1 more seed of"
    )
    assert line.endswith("two configurations, 0.033 core-hours)")
    assert verdicts(searcher(LINE, confirmation=Confirmation(2, OBJECTIVES))) == []


def test_who_gets_how_many_fresh_seeds_in_words():
    assert confirming({"a": 1}) == "confirming 1 configuration with 1 fresh seed each"
    assert confirming({"a": 1, "b": 3}) == "confirming 2 configurations with 1 to 3 fresh seeds each"


def test_the_live_table_shows_names_as_they_are():
    search, shown = searcher(BRACKETS, total=1), console()
    drive(search)
    progress = StudyProgress(search, shown, epochs=3)
    result = {"trial": "[bold]a-s0[/bold]", "epochs": 1}
    progress.on_trial_result(0, [], SimpleNamespace(trial_id="x"), result)
    shown.print(progress._render())
    assert "[red]beta :car: [/x]" in shown.file.getvalue()
    assert "[bold]a-s0[/bold] epoch 1/3" in shown.file.getvalue()


def test_trials_of_earlier_sessions_that_lie_outside_are_counted_apart():
    search = searcher(LINE, total=2)
    drive(search)
    progress = StudyProgress(search, console(), epochs=3)
    assert summary(progress, ["finished"] * 2) == "2 of 2 trials: 2 finished"
    said = summary(progress, ["diverged", *["finished"] * 4])
    assert said == "2 of 2 trials, and 3 of earlier sessions that are not in its space: 1 diverged, 4 finished"


def test_what_more_hours_would_buy_is_said_from_the_rows_of_the_trials():
    search, began = searcher(LINE, total=24), datetime(2026, 1, 1, tzinfo=UTC)
    rows = drive(search)
    for i, row in enumerate(rows):
        row |= {"started_at": began + timedelta(minutes=i), "ended_at": began + timedelta(minutes=i + 1)}
    (line,) = ahead(search, rows, "random")
    assert line.startswith("22 more minutes (about 22 configurations) would raise the hypervolume by ")
    assert ahead(search, rows[:12], "random") == [
        "What more hours would buy cannot be told from 10 configurations that the search has drawn; 20 are needed."
    ]
    assert ahead(search, [], "random") == []
