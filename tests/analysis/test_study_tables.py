import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from synthetic import DISTANCE, GAP

from analysis.study import epochs, identities, naming, tables, timing, words
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.views import importance, kernels, timeline
from evae.search import noise
from evae.search.noise import Noise

DOWN, UP = Objective("gen_fd_x", "min"), Objective("gen_sharpness", "max")


def a_table(down: list[float], up: list[float], error: float = math.nan) -> pd.DataFrame:
    columns = {
        "configuration": [f"c{i}" for i in range(len(down))],
        "name": [f"#{i}" for i in range(len(down))],
    }
    for objective, values in ((DOWN, down), (UP, up)):
        columns |= {objective.metric: values, f"select_{objective.metric}": values}
        for column in (objective.metric, f"select_{objective.metric}"):
            columns |= known(column, apart(np.full(len(down), error)))
    return pd.DataFrame(columns).assign(confirmed=False)


def apart(error: np.ndarray) -> Noise:
    """The noise of means that have no seed in common."""
    many = np.full(len(error), 1000.0)
    return Noise(error, many, error, many, np.zeros((len(error), 2)))


def known(column: str, of: Noise) -> dict[str, list]:
    """Columns of `tables.configurations`."""
    return {f"{column}_{name}": list(part) for name, part in vars(of).items()}


def test_the_interval_of_a_single_configuration_is_scipys() -> None:
    values = np.array([3.1, 2.7, 3.6, 2.9])
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert noise.of(values[None]).half(0.025) == pytest.approx((high - low) / 2)


def half_of_mean(trials: pd.DataFrame, metric: str) -> pd.Series:
    """Where all trials have finished."""
    return tables.half_of(tables.noise_of_means(trials.assign(state="finished"), metric))


def halves(means: Sequence[float], deviation: float, metric: str = "gen_kd_x") -> list[float]:
    """Half widths of configurations of three seeds each, all with the same standard deviation."""
    rows = [(str(k), mean + deviation * ((k + step) % 3 - 1)) for k, mean in enumerate(means) for step in range(3)]
    return half_of_mean(pd.DataFrame(rows, columns=["configuration", metric]), metric).tolist()


@pytest.mark.parametrize("means", [[0.0002, 1, 2, 3], [0, 1, 2, 3], [-0.0001, -1, 2, -3], [0, 0, 0, 0]])
def test_a_mean_near_zero_widens_no_interval(means: list[float]) -> None:
    """An unbiased kernel distance is about 0, or below, where a model is good."""
    found = halves(means, 0.02)
    assert found == pytest.approx(halves([20, 20, 20, 20], 0.02))
    assert found == pytest.approx([stats.t.ppf(0.975, 8) * 0.02 / math.sqrt(3)] * 4, rel=0.2)


def test_a_value_that_is_not_finite_widens_no_interval() -> None:
    rows = [("a", 1.0), ("a", 1.1), ("a", math.nan), ("b", 2.0), ("b", math.inf), ("c", math.nan), ("d", None)]
    trials = pd.DataFrame(rows, columns=["configuration", "m"]).assign(state="finished")
    half = half_of_mean(trials, "m")
    one = stats.t.ppf(0.975, 1) * np.std([1.0, 1.1], ddof=1)
    assert half["a"] == pytest.approx(one / math.sqrt(2)) and 0.99 * one < half["b"] < 1.2 * one
    assert half[["c", "d"]].isna().all()


def test_the_interval_of_a_collapsed_rate_is_as_small_as_its_spread() -> None:
    rows = [("a", v) for v in (0.0001, 0.0009, 0.0002)] + [("b", v) for v in (19.9, 20.0, 20.1)]
    trials = pd.DataFrame(rows, columns=["configuration", "rate_nats"]).assign(state="finished")
    half = half_of_mean(trials, "rate_nats")
    assert half["a"] < 0.3 and 0.1 < half["b"] < 0.3


def test_seeds_that_agree_have_an_interval_of_rounding_alone() -> None:
    """Means of equal values differ in the last digit, by which nothing is worse."""
    values = {"a": [0.1, 0.1, 0.1], "b": [0.1, 0.1]}
    rows = [(name, value) for name, of in values.items() for value in of]
    half = half_of_mean(pd.DataFrame(rows, columns=["configuration", "m"]).assign(state="finished"), "m")
    assert (half > 0).all() and (half < 1e-6).all()
    assert naming.interval(0.1, half["a"]) == "0.100"


@pytest.mark.parametrize(
    ("truth", "spread"),
    [
        (np.geomspace(0.01, 1000, 12), 0.05 * np.geomspace(0.01, 1000, 12)),
        (np.linspace(0, 3, 12), np.full(12, 0.2)),
        (np.geomspace(0.001, 30, 12), np.sqrt(0.05**2 + (0.1 * np.geomspace(0.001, 30, 12)) ** 2)),
    ],
    ids=["relative", "constant", "both"],
)
def test_intervals_cover_the_mean_as_often_as_they_say(truth: np.ndarray, spread: np.ndarray) -> None:
    """Two or three seeds each; a spread that had to be found out costs a little at so few."""
    rng, covered = np.random.default_rng(0), []
    n = np.array([2, 3] * 6)
    for _ in range(700):
        draws = truth[:, None] + spread[:, None] * rng.normal(size=(12, 3))
        draws[n == 2, 2] = np.nan
        covered.append(np.abs(np.nanmean(draws, axis=1) - truth) <= noise.of(draws).half(0.025))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
    assert np.mean(covered, axis=0).min() > 0.87


def test_intervals_of_a_sharpness_gap_cover_it_near_zero_and_far_from_it() -> None:
    """As many seeds have their mean's interval around the true gap as it says, whether images are blurred or as sharp
    as real ones; the gap's own spread, of which the blurred have little and the too sharp much, would not do."""
    rng, covered = np.random.default_rng(0), []
    truth = np.array([0.05, 0.2, 0.5, 0.9, 2.0, 4.0])  # of real images' sharpness
    for _ in range(150):
        ratio = truth[:, None] * (1 + 0.04 * rng.normal(size=(6, 3)))
        trials = pd.DataFrame({"configuration": np.repeat(range(6), 3), "state": "finished"})
        trials["rec_sharpness"], trials["real_sharpness"] = 0.06 * ratio.ravel(), 0.06
        trials["rec_sharpness_gap"] = np.abs(ratio - 1).ravel()
        half = half_of_mean(trials, "rec_sharpness_gap")
        covered.append(np.abs(np.abs(ratio - 1).mean(axis=1) - np.abs(truth - 1)) <= half)
    assert np.mean(covered, axis=0) == pytest.approx(0.95, abs=0.05)


def test_rungs_count_those_judged_and_stopped(racing: StudyData) -> None:
    assert epochs.rungs(racing).to_dict("records") == [{"epoch": 2.0, "judged": 12, "stopped": 2}]
    ended = "Trials that fell behind others were stopped early, and are not ranked: 2 of 12 after epoch 2."
    assert ended in words.progress(racing)
    assert "stopped" not in set(tables.failures(racing)["state"])


def test_rungs_are_not_all_epochs_where_training_measures_the_objective(racing: StudyData) -> None:
    manifest = racing.manifest | {"options": racing.manifest["options"] | {"early_stopping": "halving"}}
    of = dataclasses.replace(racing, objectives=[Objective("distortion_nats", "min")], manifest=manifest)
    # Eight epochs have rungs after 1 and 3; after 2 trials have been stopped.
    assert (epochs.rungs(of)["epoch"].tolist(), epochs.rungs(of)["judged"].tolist()) == ([1, 2, 3], [12, 2, 10])
    never = dataclasses.replace(of, manifest=manifest | {"options": {}})
    assert epochs.rungs(never)["epoch"].tolist() == [2]


def test_what_rungs_see_is_said(racing: StudyData) -> None:
    assert epochs.foresight(racing) == []
    manifest = racing.manifest | {"options": racing.manifest["options"] | {"early_stopping": "halving"}}
    of = dataclasses.replace(racing, objectives=[Objective("distortion_nats", "min")], manifest=manifest)
    of.trials["val_distortion_nats"] = of.trials["distortion_nats"]
    one, three = epochs.foresight(of)
    assert one.startswith("The rung after 1 epoch") and three.startswith("The rung after 3 epochs")
    assert "of 9 trials: distortion" in three and three in words.progress(of)


def test_replicates_may_differ_in_number(racing: StudyData) -> None:
    table = tables.configurations(racing).set_index("number")
    assert list(table.loc[[1, 4, 0, 6], "n"]) == [3, 3, 1, 0]
    half = table[f"{DISTANCE}_half"]
    assert half[0] > 1.5 * half[[1, 4]].max()
    assert "Configurations have 1 to 3 finished seeds each" in words.method(racing, table.reset_index())


def test_points_of_a_grid_have_names_and_are_no_controls(study: StudyData) -> None:
    grid = dataclasses.replace(study, trials=study.trials.replace({"origin": {"control": "grid", "paper": "grid"}}))
    for of, said in ((study, True), (grid, False)):
        table = tables.configurations(of)
        assert ("autoencoder" in set(table["name"]), table["control"].any()) == (True, said)
        assert any("control" in words.best(table, objective) for objective in of.objectives) == said


def test_words_about_a_sharpness_gap_say_on_which_side_it_is(racing: StudyData) -> None:
    table = tables.configurations(racing)
    gap = Objective(GAP, "min")
    ratio = table["rec_sharpness"] / table["real_sharpness"]
    first = tables.best(table, gap).iloc[0]
    assert f"its images have {naming.times(ratio[first.name])} real images' sharpness" in words.best(table, gap)
    assert ratio.max() > 1  # by less than its interval
    assert "No configuration is sharper than real images by more than noise." in words.best(table, gap)
    louder = table.assign(rec_sharpness=table["rec_sharpness"].where(table["number"] != 2, 0.6))
    said = words.best(louder, gap)
    assert "Sharper than real images by more than noise: 1 configuration, which is beta-VAE 0.1 with 4 times" in said
    sure = louder.assign(**known(GAP, apart(np.full(len(louder), 1e-6))))
    assert "farther from real images' sharpness by more than noise" in words.best(sure, gap)


def test_without_replicates_there_is_no_interval(study: StudyData) -> None:
    single = pd.DataFrame({"configuration": ["a", "b"], "m": [1.0, 2.0]})
    assert half_of_mean(single, "m").isna().all()
    table = tables.configurations(study)
    unfinished = table["n"] == 0
    for objective in study.objectives:
        assert table.loc[unfinished, f"{objective.metric}_half"].isna().all()
        assert table.loc[~unfinished, f"{objective.metric}_half"].notna().all()


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_front_is_what_brute_force_finds(points: list[tuple[int, int]]) -> None:
    found = tables.front(a_table([float(a) for a, _ in points], [float(b) for _, b in points]), [DOWN, UP])
    for i, (a, b) in enumerate(points):
        beaten = any(c <= a and d >= b and (c < a or d > b) for c, d in points)
        assert found["on_front"].iloc[i] == (not beaten)
        assert not (found["dominated_within_noise"].iloc[i] and not beaten)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            [*range(12)],
            "A and B go together, and leave little to weigh (rank correlation 1.00 over 12 configurations).",
        ),
        ([*range(12)][::-1], "A and B pull apart (rank correlation -1.00 over 12 configurations)."),
        ([5, 3, 8, 1, 11, 0, 6, 9, 2, 10, 4, 7], ""),
        ([1] * 12, ""),
    ],
    ids=["together", "apart", "chance", "constant"],
)
def test_words_say_whether_objectives_pull_apart(study: StudyData, other: list[float], said: str) -> None:
    goals = dataclasses.replace(study, objectives=[DOWN, UP])
    table = a_table([*range(12)], [-value for value in other])
    said = said.replace("A", DOWN.label).replace("B", UP.label)
    assert words.together(goals, table) == (said and f"In the search, {said}")
    assert words.together(goals, table.iloc[:9]) == ""


def test_noise_excuses_only_what_no_dominating_one_is_ahead_of() -> None:
    table = a_table([10.0, 11.0, 20.0], [0.5, 0.4, 0.3], error=0.5)
    assert list(tables.front(table, [DOWN, UP])["dominated_within_noise"]) == [False, True, False]
    exact = a_table([10.0, 11.0, 20.0], [0.5, 0.4, 0.3])
    assert not tables.front(exact, [DOWN, UP])["dominated_within_noise"].any()


def some_study(random: np.random.Generator, truth: np.ndarray, seeds: int) -> pd.DataFrame:
    """A table of configurations with a noise of 1 a seed, ranked by what is shown; the last four are controls."""
    values = truth[:, None] + random.normal(size=(len(truth), seeds))
    means, of = values.mean(axis=1), noise.of(values)
    table = pd.DataFrame(
        {"name": [f"#{i}" for i in range(len(truth))], "control": np.arange(len(truth)) >= len(truth) - 4}
    )
    table = table.assign(n=seeds, gen_fd_x_n=seeds, rate_is="exact", confirmed=False)
    for column in ("gen_fd_x", "select_gen_fd_x"):
        table = table.assign(**{column: means} | known(column, of))
    return table.assign(gen_fd_x_half=of.half(0.025), gen_fd_x_chosen=of.half(0.025 / len(truth)))


@pytest.mark.parametrize(("configurations", "seeds"), [(7, 2), (30, 3)])
def test_among_equals_no_control_is_called_worse_and_the_best_holds_its_interval(
    configurations: int, seeds: int
) -> None:
    """5 % of studies at most each, of which 11 of 60 have a probability of 0.02 % then."""
    random, worse, outside = np.random.default_rng(0), 0, 0
    for _ in range(60):
        table = some_study(random, np.full(configurations, 10.0), seeds)
        said, first = words.best(table, DOWN), tables.best(table, DOWN).iloc[0]
        worse += words.APART[0] in said or words.APART[1] in said
        outside += abs(first["gen_fd_x"] - 10) > first["gen_fd_x_chosen"]
    assert worse < 11 and outside < 11


def test_a_control_that_is_worse_is_told() -> None:
    """By 6 standard deviations of a seed."""
    random, told = np.random.default_rng(0), 0
    for _ in range(20):
        table = some_study(random, np.r_[np.full(26, 10.0), np.full(4, 16.0)], 3)
        told += f"{words.APART[0]}." in words.best(table, DOWN)
    assert told >= 18


def test_ranking_is_by_validation_and_values_are_of_the_test_split(study: StudyData) -> None:
    table = tables.configurations(study)
    objective = study.objectives[0]
    finished = study.trials[study.trials["state"] == "finished"].groupby("configuration")
    validation = finished[f"val_{objective.metric}"].mean()
    first = tables.best(table, objective).iloc[0]
    assert first["configuration"] == validation.idxmin()
    assert first[objective.metric] == pytest.approx(finished[objective.metric].mean()[validation.idxmin()])
    assert study.ranked_by_validation


@pytest.mark.parametrize(("n", "tries"), [(5, 1), (5, 3), (4, 4), (7, 2)])
def test_choice_weights_are_the_frequencies_of_all_draws(n: int, tries: int) -> None:
    draws = list(itertools.combinations(range(n), tries))
    counted = [sum(min(draw) == i for draw in draws) / len(draws) for i in range(n)]
    assert kernels.choice_weights(n, tries) == pytest.approx(counted)


def test_kernels_have_the_same_number_of_tries(study: StudyData) -> None:
    table = tables.configurations(study)
    for objective in study.objectives:
        found = kernels.kernels(table, objective)
        assert set(found["tries"]) == {found["n"].min()}
        assert set(found["kernel"]) == set(table.loc[table["n"] > 0, "kernel"].dropna())
        assert (objective.sign * found["expected_best"]).is_monotonic_increasing


def test_failures_are_counted_by_reason(study: StudyData) -> None:
    found = tables.failures(study)
    lost = study.trials[study.trials["state"].isin(["diverged", "failed"])]
    assert found["n"].sum() == len(lost) > 0
    assert sorted(itertools.chain(*found["trials"])) == sorted(lost["trial"])
    assert list(found["n"]) == sorted(found["n"], reverse=True)


def test_importance_finds_the_parameter_that_decides() -> None:
    random = np.random.default_rng(1)
    decisive, idle = random.uniform(1e-4, 1e-2, 60), random.choice(["a", "b"], 60)
    table = a_table(list((np.log(decisive) - np.log(1e-3)) ** 2), [0.0] * 60)
    table["params"] = [{"rate": float(d), "kernel": str(i)} for d, i in zip(decisive, idle, strict=True)]
    space = {"rate": {"low": 1e-4, "high": 1e-2, "log": True}, "kernel": {"choices": ["a", "b"]}}
    found = importance.importance(space, table, DOWN)
    assert found["parameter"].iloc[0] == "rate"
    assert found["share"].iloc[0] > 0.8
    assert found["share"].sum() == pytest.approx(1)


def test_importance_keeps_quiet_on_few_configurations() -> None:
    table = a_table([1.0, 2.0], [1.0, 2.0]).assign(params=[{"rate": 0.1}, {"rate": 0.2}])
    assert importance.importance({"rate": {"low": 0.0, "high": 1.0}}, table, DOWN).empty


def test_controls_outside_the_space_do_not_count() -> None:
    space = {"method": importance.distribution({"choices": ["evae", "kernel"]})}
    rows = a_table([1.0, 2.0], [1.0, 2.0]).assign(params=[{"method": "evae"}, {"method": "autoencoder"}])
    assert [t.params for t in importance.rebuild(rows, DOWN, space).trials] == [{"method": "evae"}, {}]


def test_shares_of_time_add_up_to_slots_times_wall_time(study: StudyData) -> None:
    found = timing.timing(study).set_index("activity")
    assert found["share"].sum() == pytest.approx(1)
    assert found["seconds"].sum() == pytest.approx(2 * study.sessions["wall_s"].sum())
    assert found.loc["training", "seconds"] == pytest.approx(study.trials["train_s"].sum())


def test_lanes_never_run_two_trials_at_once(study: StudyData) -> None:
    lanes = timeline.timeline(study)
    assert len(lanes) == len(study.trials)
    assert lanes["lane"].nunique() == 2
    for _, lane in lanes.groupby("lane"):
        lane = lane.sort_values("start")
        assert (lane["start"].to_numpy()[1:] >= lane["end"].to_numpy()[:-1] - 1e-9).all()


def test_distances_have_one_identity_and_a_floor(study: StudyData) -> None:
    found = identities.table(study)
    assert list(found["metric"]) == ["gen_fd_efficientnet_lite0_b4", "rec_fd_efficientnet_lite0_b4"]
    assert (found["n"] == (study.trials["state"] == "finished").sum()).all()
    assert identities.floor(study, "gen_fd_efficientnet_lite0_b4") == pytest.approx(1.23)
    assert math.isnan(identities.floor(study, "gen_sharpness"))
