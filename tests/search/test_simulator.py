"""Recorded trials replayed: the real searcher and rungs in milliseconds."""

from collections import Counter
from dataclasses import replace
from typing import Any

import optuna
import pytest
from driving import BASE, OBJECTIVES, searcher, seeing
from optuna.trial import TrialState

from evae.errors import UserError
from evae.recipe import Optimisation, Recipe
from evae.search.rungs import Rungs
from evae.search.simulator import Curves, simulate
from evae.search.space import Space

EPOCHS, LATENTS = 9, 60
TRAINED = replace(BASE, optimisation=Optimisation(epochs=EPOCHS))


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    return replace(TRAINED, latent=trial.suggest_int("latent", 1, LATENTS))


WIDE = Space(suggest)


def recorded(latent: int, seed: int = 0) -> list[dict[str, Any]]:
    """A trade-off: more latents are better in a and worse in b, odd numbers worse in both; all improve over epochs.

    Number 13 diverges in its second epoch."""
    key = {"configuration": replace(TRAINED, latent=latent).configuration(), "seed": seed, "train_s": 1.0 + latent % 3}
    if latent == 13:
        return [key | {"epoch": 1, "val_a": 1.0, "val_b": 1.0}, key | {"epoch": 2, "state": "diverged"}]
    odd = 30 * (latent % 2)
    return [
        key | {"epoch": e, "val_a": 90 - latent + odd + 50 / e + seed, "val_b": -latent - odd - 50 / e}
        for e in range(1, EPOCHS + 1)
    ]


CURVES = Curves([row for seed in range(3) for latent in range(1, LATENTS + 1) for row in recorded(latent, seed)])


def run(slots: int = 4, epochs: float = float("inf"), **options: Any) -> tuple[Any, list]:
    search = searcher(WIDE, sampler="random", **options)
    return search, list(simulate(search, CURVES, slots, epochs))


def test_without_stopping_every_trial_ends_as_it_was_recorded():
    search, events = run(total=30)
    assert len(events) == 30 and events[-1].epochs == sum(e.row["epoch"] for e in events)
    for event in events:
        assert event.state == ("diverged" if event.job.params["latent"] == 13 else "finished")
    values = {c.params["latent"]: search.means(c) for c in search.configurations.values()}
    assert all(v is None or v[0] == pytest.approx(recorded(n)[-1]["val_a"]) for n, v in values.items())


def test_one_machine_after_another_and_several_at_once_take_the_time_that_was_recorded():
    _, one = run(slots=1, total=20)
    _, four = run(slots=4, total=20)
    lasts = sum(9 * (1.0 + e.job.params["latent"] % 3) for e in one if e.state == "finished")
    assert one[-1].time_s >= lasts
    assert one[-1].time_s / 4 <= four[-1].time_s < one[-1].time_s / 2
    assert [e.time_s for e in four] == sorted(e.time_s for e in four)


@pytest.mark.parametrize("slots", [1, 5])
def test_every_run_is_the_same(slots):
    first, second = (
        run(slots=slots, total=40, rungs=seeing(Rungs("halving", EPOCHS, OBJECTIVES)), race=True, seeds=3)[1]
        for _ in range(2)
    )
    assert first == second and len(first) > 40


@pytest.mark.parametrize("slots", [1, 7])
def test_halving_spends_less_stops_the_dominated_and_tells_them_pruned(slots):
    search, events = run(slots=slots, total=55, rungs=seeing(Rungs("halving", EPOCHS, OBJECTIVES)))
    states = Counter(e.state for e in events)
    assert events[-1].epochs < 0.7 * 55 * EPOCHS and states["stopped"] > 20
    odd = Counter(e.state for e in events if e.job.params["latent"] % 2)
    assert odd["stopped"] > 3 * odd["finished"]
    trials = search.study.trials
    told = Counter(trials[c.optuna_trial.number].state for c in search.configurations.values())
    assert told[TrialState.PRUNED] == states["stopped"] and told[TrialState.RUNNING] == 0
    assert {e.row["epoch"] for e in events if e.state == "stopped"} == {1, 3}


def test_the_median_is_gentler_than_halving():
    spent = [
        run(total=50, rungs=seeing(Rungs(rule, EPOCHS, OBJECTIVES)))[1][-1].epochs for rule in ("halving", "median")
    ]
    assert spent[0] < spent[1] < 50 * EPOCHS


def test_a_budget_of_epochs_is_kept():
    _, events = run(total=50, epochs=100)
    assert 90 < events[-1].epochs <= 100


def test_a_search_broken_off_at_any_moment_and_taken_over_ends_with_every_configuration_once():
    options = {"total": 25, "seeds": 2, "race": True}
    for broken_at in (1, 5, 12, 24, 26):
        search = searcher(WIDE, sampler="random", **options, rungs=seeing(Rungs("halving", EPOCHS, OBJECTIVES)))
        events = [event for event, _ in zip(simulate(search, CURVES, 3), range(broken_at), strict=False)]
        rows = [
            {name: getattr(e.job, name) for name in ("configuration", "number", "seed", "attempt", "params", "recipe")}
            | {"origin": e.job.origin, "label": e.job.label, **e.row, "state": e.state, "trial": e.job.trial}
            | {"epochs": e.row["epoch"], "ended_at": e.time_s}
            for e in events
        ]
        rungs = Rungs("halving", EPOCHS, OBJECTIVES)
        came = [
            row | {"trial": e.job.trial, "ended_at": e.time_s - e.row["epoch"] + row["epoch"]}
            for e in events
            for row in CURVES.of(e.job)[: e.row["epoch"]]
        ]
        rungs.take_over(came, rows)
        again = searcher(WIDE, sampler="random", **options, rungs=rungs, history=rows)
        events += simulate(again, CURVES, 3)
        names = [e.job.trial for e in events]
        assert len(set(names)) == len(names) and len({e.job.configuration for e in events}) == 25


def test_what_was_not_recorded_is_named():
    search = searcher(WIDE, sampler="random", total=1)
    with pytest.raises(UserError, match="recorded for 0 of 9 epochs"):
        list(simulate(search, Curves([]), 1))
    short = Curves([row for latent in range(1, LATENTS + 1) for row in recorded(latent)[:4] if latent != 13])
    with pytest.raises(UserError, match="recorded for 4 of 9 epochs"):
        list(simulate(searcher(WIDE, sampler="random", total=1), short, 1))
