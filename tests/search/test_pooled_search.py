"""A search that takes trials from a pool, learns from them, or goes on in another space."""

from dataclasses import replace
from typing import Any

import optuna
import pytest
from driving import BASE, EVERY_SAMPLER, LINE, drive, good, searcher, states
from optuna.trial import TrialState

from evae.errors import UserError
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.search.constraints import parse
from evae.search.job import Job
from evae.search.past import OTHER, UNREAD, Told, point
from evae.search.pool import Pool, take_what_is_certain
from evae.search.searcher import FINISHED
from evae.search.space import Control, Space


def suggest(low: float, high: float):
    def suggested(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
        return replace(base, posterior=Gaussian(beta=trial.suggest_float("beta", low, high, log=True)))

    return suggested


def suggest_latent(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    return replace(base, latent=trial.suggest_int("latent", 2, 9))


class Whole(Pool):
    """Has every trial but those whose number is in `lacking`."""

    def __init__(self, *lacking: int):
        self.lacking, self.asked = lacking, 0

    def take(self, job: Job) -> Any:
        self.asked += 1
        return job if job.number in self.lacking else (job, good(job) | {"taken_study": "x", "wall_s": 1e9})


def told(rows: list[dict[str, Any]]) -> list[Told]:
    return [Told(row["params"], Recipe.from_dict(row["recipe"]), [row]) for row in rows]


def test_what_the_pool_has_is_never_handed_out_and_optuna_hears_of_it():
    search = searcher(total=5, seeds=2, pool=Whole(1, 3))
    rows = drive(search)
    assert [(row["number"], row["seed"]) for row in rows] == [(1, 0), (1, 1), (3, 0), (3, 1)]
    assert states(search) == [TrialState.COMPLETE] * 5 and search.taken == 6 and search.done == search.planned == 10


def test_a_study_whose_trials_are_all_there_ends_at_once():
    search = searcher(total=6, pool=Whole())
    assert search.suggest("a") == FINISHED and search.done == 6 and search.pool.asked == 6


def test_what_comes_next_is_known_before_there_are_machines():
    search, taken = searcher(total=5, pool=Whole(2)), []
    search.on_taken = taken.append
    job = search.upcoming()
    assert job.number == 2 and search.upcoming() is job and not search.running and search.pool.asked == 3
    assert [row["taken_study"] for row in taken] == ["x", "x"] and search.done == 2
    assert search.suggest("a") is job and search.running == {"a": job}
    search.on_trial_complete("a", good(job))
    assert search.upcoming() == FINISHED and len(taken) == 4 and search.pool.asked == 5


@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
def test_what_is_certain_to_be_taken_is_what_hangs_on_no_result(sampler):
    search = searcher(total=8, seeds=2, sampler=sampler, pool=Whole(0, 4))
    jobs = take_what_is_certain(search)
    learns = sampler not in ("qmc", "random")
    # Both of the first control's; and the other's, which is there, tells a sampler that learns only the half.
    assert [(job.number, job.seed) for job in jobs] == [(0, 0), (0, 1)] + [(4, 0), (4, 1)] * (not learns)
    assert search.taken == (2 if learns else 12) and search.all_drawn is not learns


def test_as_long_as_all_is_there_it_is_certain_what_a_sampler_draws_next():
    search = searcher(total=6, pool=Whole(4))
    assert [job.number for job in take_what_is_certain(search)] == [4] and search.taken == 4


@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
def test_a_wider_range_goes_on_from_what_there_was(sampler):
    first = drive(searcher(Space(suggest(0.1, 10.0), LINE.controls), total=12, sampler=sampler))
    search = searcher(Space(suggest(0.01, 100.0), LINE.controls), total=20, sampler=sampler, history=first)
    rows = drive(search)
    assert [row["number"] for row in rows] == list(range(12, 20))
    assert (search.past.taken_over, search.past.outside, search.past.left_out) == (12, 0, {})


@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
def test_of_a_narrower_range_what_lies_beyond_is_told_to_who_can_read_it_and_named(sampler):
    first = drive(searcher(total=14, sampler="random"))
    beyond = [row for row in first if row["params"]["beta"] > 3 and row["label"] is None]
    assert 0 < len(beyond) < 12
    search = searcher(Space(suggest(0.1, 3.0), LINE.controls), total=20, sampler=sampler, history=first)
    known = [t for t in search.study.get_trials(deepcopy=False) if t.params.get("beta", 0) > 3]
    assert len(known) == (len(beyond) if sampler == "tpe" else 0)
    assert search.past.left_out == ({} if sampler == "tpe" else {UNREAD: len(beyond)})
    rows = drive(search)
    assert len(rows) == 20 - (14 - len(beyond)) and min(row["number"] for row in rows) == 14
    assert all(row["params"]["beta"] <= 3 for row in rows)
    assert not {row["configuration"] for row in rows} & {row["configuration"] for row in first}


def test_a_history_wholly_outside_is_left_out_with_the_reason_and_the_search_begins():
    first = drive(searcher(Space(suggest(0.1, 1.0)), total=5))
    search = searcher(Space(suggest_latent), total=4, history=first)
    assert search.past.left_out == {OTHER: 5} and "5 not usable: the space has no such parameters" in str(search.past)
    assert [row["number"] for row in drive(search)] == [5, 6, 7, 8]


def test_another_configuration_of_a_control_s_label_is_refused():
    first = drive(searcher(total=2))
    with pytest.raises(UserError, match="'one' that is trained otherwise"):
        searcher(Space(suggest_latent, (Control("one", {"latent": 2}),)), history=first)


def test_other_objectives_see_the_same_trials_anew():
    first = drive(searcher(total=4), lambda job: good(job) | {"val_c": float(job.number)})
    search = searcher(total=4, objectives=[("val_c", "min")], history=first)
    assert drive(search) == [] and [t.values for t in search.study.trials] == [[0.0], [1.0], [2.0], [3.0]]
    blind = searcher(total=4, objectives=[("val_d", "min")], history=first)
    assert drive(blind) == [] and states(blind) == [TrialState.FAIL] * 4


def test_what_is_measured_otherwise_keeps_its_name_and_is_not_drawn_twice():
    """A recipe's name holds its evaluation."""
    first = drive(searcher(total=4))
    base = replace(BASE, evaluation=replace(BASE.evaluation, downstream=(20,)))
    search = searcher(total=6, base=base, history=first, seeds=2)
    rows = drive(search)
    assert [(row["number"], row["seed"]) for row in rows[:4]] == [(n, 1) for n in range(4)]
    assert [row["configuration"] for row in rows[:4]] == [row["configuration"] for row in first]
    assert {tuple(row["recipe"]["evaluation"]["downstream"]) for row in rows} == {(20,)}
    assert len({row["configuration"] for row in rows}) == 6


def test_the_sampler_learns_from_the_pool_without_trials_of_its_own():
    theirs = drive(searcher(total=8, sampler="random"))
    pool = Pool()
    pool.told = [*told(theirs), *told(theirs[:3])]  # of another store, once more
    search = searcher(total=4, pool=pool)
    # The controls are left to be taken.
    assert search.past.told == 6 and search.done == 0 and search.planned == 4
    assert sorted(t.params["beta"] for t in search.study.trials if t.state == TrialState.COMPLETE) == sorted(
        row["params"]["beta"] for row in theirs[2:]
    )
    assert [row["number"] for row in drive(search)] == [0, 1, 2, 3]


@pytest.mark.parametrize("sampler", ["qmc", "random"])
def test_a_sampler_that_learns_nothing_draws_what_it_would_without_a_pool(sampler):
    pool = Pool()
    pool.told = told(drive(searcher(total=8, sampler="random", sampler_seed=1)))
    alone, beside = (drive(searcher(total=6, sampler=sampler, pool=each)) for each in (None, pool))
    assert [row["params"] for row in alone] == [row["params"] for row in beside]


def test_what_of_the_pool_or_beyond_the_space_breaks_a_constraint_is_told_as_such():
    def score(job: Job) -> dict[str, Any]:
        return good(job) | {"val_rec_psnr_db": 10 * job.recipe["posterior"]["beta"]}

    constraints = parse(["rec_psnr_db <= 20"], "x")
    theirs, pool = drive(searcher(total=12, sampler="random"), score), Pool()
    pool.told = told([*theirs[:-1], {n: v for n, v in theirs[-1].items() if n != "val_rec_psnr_db"}])
    of_pool = searcher(total=4, pool=pool, constraints=constraints)
    assert of_pool.past.told == 9  # neither controls nor what says nothing of it
    narrow = Space(suggest(0.1, 1.0), LINE.controls[:1])
    beyond = searcher(narrow, total=14, history=theirs, constraints=constraints)
    assert beyond.past.outside
    for search in (of_pool, beyond):
        complete = [t for t in search.study.get_trials() if t.state == TrialState.COMPLETE]
        broken = {t.params["beta"] for t in complete if t.constraints["rec_psnr_db <= 20"] > 0}
        assert broken == {t.params["beta"] for t in complete if t.params["beta"] > 2} != set()


def test_what_does_not_fit_or_means_something_else_is_not_told():
    theirs = drive(searcher(Space(suggest(20.0, 90.0)), total=2)) + drive(searcher(Space(suggest_latent), total=2))
    other = drive(searcher(total=3, base=replace(BASE, latent=9)))
    lacking = drive(searcher(total=5, sampler="random"), lambda job: {"state": "finished", "val_a": 1.0})
    pool = Pool()
    pool.told = told([*theirs, *other, *lacking])
    assert searcher(total=4, pool=pool).past.told == 0


def test_what_optuna_knows_from_the_pool_it_is_not_told_again():
    space = Space(lambda trial, base: replace(base, latent=trial.suggest_categorical("latent", [2, 3, 5])))
    pool = Pool()
    pool.told = told(drive(searcher(space, total=3)))
    search = searcher(space, total=3, pool=pool)
    assert len(drive(search)) == 3 and states(search).count(TrialState.COMPLETE) == 3


def test_the_pool_s_configurations_come_first_if_that_is_asked():
    theirs = drive(searcher(total=6, sampler="random"))
    pool = Pool()
    pool.told, pool.first = told(theirs), True
    rows = drive(searcher(total=8, pool=pool))
    assert [row["configuration"] for row in rows[:6]] == [row["configuration"] for row in theirs]
    assert [row["label"] for row in rows[:3]] == ["one", "two", None] and len(rows) == 8


def test_a_point_is_what_its_parameters_are():
    assert point(LINE, BASE, {"beta": 0.5}).outside is False
    assert point(LINE, BASE, {"beta": 50.0}).outside
    for none in ({}, {"latent": 3}, {"beta": 0.5, "more": 1}, {"beta": "x"}):
        assert isinstance(point(LINE, BASE, none), str), none
