"""What a later session makes of the rows of earlier ones."""

from dataclasses import replace

import pytest
from driving import BASE, EVERY_SAMPLER, FINITE, drive, good, searcher, states, straight
from optuna.trial import TrialState

from search_spaces.kernels import SPACE


@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
def test_every_sampler_goes_on_after_a_take_over(sampler):
    first = drive(searcher(SPACE, total=18, sampler=sampler))
    search = searcher(SPACE, total=30, sampler=sampler, history=first)
    rows = drive(search)
    assert len(rows) == 12
    assert not {r["configuration"] for r in first} & {r["configuration"] for r in rows}
    assert [r["number"] for r in rows] == list(range(18, 30))
    assert {r["label"] for r in rows} == {None}
    assert TrialState.RUNNING not in states(search)


def test_a_long_quasi_random_sequence_is_continued():
    first = drive(searcher(total=40, sampler="qmc"))
    search = searcher(total=45, sampler="qmc", history=first)
    assert len(drive(search)) == 5 and not search.exhausted


def test_a_take_over_of_an_exhausted_space_ends_at_once():
    rows = drive(searcher(FINITE, total=50))
    search = searcher(FINITE, total=50, history=rows)
    assert drive(search) == [] and search.exhausted


def test_finished_trials_are_taken_over_and_the_total_stays_the_total():
    first = drive(searcher(total=6, seeds=2), limit=7)
    search = searcher(total=6, seeds=2, history=first)
    rows = drive(search)
    assert len(first) == 7 and len(rows) == 5
    names = [(r["configuration"], r["seed"]) for r in first + rows]
    assert len(set(names)) == 12
    assert rows[0]["configuration"] == first[-1]["configuration"] and rows[0]["seed"] == 1
    assert rows[0]["attempt"] == 1


def test_after_a_take_over_optuna_knows_what_it_knew():
    whole = searcher(total=5)
    rows = drive(whole)
    again = searcher(total=5, history=rows)
    assert [(t.params, t.values, t.state) for t in again.study.trials] == [
        (t.params, t.values, t.state) for t in whole.study.trials
    ]


def test_a_continued_search_does_not_draw_its_first_suggestions_again():
    first = drive(searcher(total=5, sampler="random"))
    more = drive(searcher(total=10, sampler="random", history=first))
    betas = [r["params"]["beta"] for r in first + more]
    assert len(set(betas)) == 10


@pytest.mark.parametrize("state", ["running", "cancelled"])
def test_interrupted_trials_come_first_with_the_next_attempt(state):
    first = drive(searcher(total=4))
    first[1] |= {"state": state, "attempt": 2}
    first[3] |= {"state": state}
    search = searcher(total=5, history=first)
    rows = drive(search)
    assert [(r["number"], r["attempt"]) for r in rows] == [(1, 3), (3, 2), (4, 1)]
    assert [r["configuration"] for r in rows[:2]] == [first[1]["configuration"], first[3]["configuration"]]
    assert rows[0]["label"] == "two" and rows[0]["origin"] == "paper"
    assert rows[0]["recipe"] == first[1]["recipe"]


@pytest.mark.parametrize("state", ["failed", "diverged", "stopped"])
def test_failed_diverged_and_stopped_trials_are_not_tried_again(state):
    first = drive(searcher(total=3), lambda job: {"state": state} if job.number == 1 else good(job))
    search = searcher(total=3, history=first)
    assert drive(search) == []
    told = TrialState.PRUNED if state == "stopped" else TrialState.FAIL
    assert states(search) == [TrialState.COMPLETE, told, TrialState.COMPLETE]


def test_a_control_that_no_session_got_to_is_still_trained():
    first = drive(searcher(total=6), limit=1)
    rows = drive(searcher(total=6, history=first))
    assert [r["label"] for r in rows] == ["two", None, None, None, None]
    assert [r["number"] for r in rows] == [1, 2, 3, 4, 5]


def test_history_in_any_order_is_the_same_history():
    first = drive(searcher(total=5, seeds=2))
    forward, backward = (searcher(total=6, seeds=2, history=h) for h in (first, first[::-1]))
    assert [t.params for t in forward.study.trials] == [t.params for t in backward.study.trials]
    assert drive(forward) == drive(backward)


def test_a_take_over_of_the_kernel_space_keeps_conditional_parameters_exactly():
    first = drive(searcher(SPACE, total=15))
    search = searcher(SPACE, total=15, history=first)
    assert drive(search) == []
    assert [dict(t.params) for t in search.study.trials] == [r["params"] for r in first]


def test_a_race_is_taken_over():
    first = drive(searcher(total=20, seeds=3, sampler="random", race=True), straight, limit=17)
    search = searcher(total=20, seeds=3, sampler="random", race=True, history=first)
    rows = drive(search, straight)
    names = [(r["configuration"], r["seed"]) for r in first + rows]
    assert len(set(names)) == len(names) == search.planned
    assert len({r["configuration"] for r in first + rows}) == 20
    assert TrialState.RUNNING not in states(search)


def test_the_genetic_algorithm_keeps_its_generations_over_a_take_over():
    whole = searcher(total=60, sampler="nsga2")
    rows = drive(whole, slots=1)
    again = searcher(total=60, sampler="nsga2", history=rows)
    key = "NSGA2:generation"
    assert [t.system_attrs[key] for t in again.study.trials] == [t.system_attrs[key] for t in whole.study.trials]
    assert again.study.trials[-1].system_attrs[key] >= 3


def test_more_epochs_train_what_had_finished_anew_and_leave_the_rest():
    ends = {1: {"state": "stopped"}, 2: {"state": "diverged"}}
    first = drive(searcher(total=4), lambda job: ends.get(job.number, good(job)))
    base = replace(BASE, optimisation=replace(BASE.optimisation, epochs=BASE.optimisation.epochs + 1))
    again = searcher(total=4, history=first, base=base)
    rows = drive(again)
    trained = [(r["number"], r["attempt"], r["recipe"]["optimisation"]["epochs"]) for r in rows]
    assert trained == [(0, 2, 51), (3, 2, 51)]
    assert {r["configuration"] for r in rows} <= {r["configuration"] for r in first}
    later = [r for r in first if r["number"] in ends] + rows
    assert drive(searcher(total=4, history=later, base=base)) == []
