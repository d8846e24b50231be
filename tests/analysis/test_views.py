"""The tables behind slices, equal rate, hypervolume, thinned curves, advice and pictures, each as data."""

import io
import itertools
import json
import shlex
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from synthetic import write_study

from analysis.study import advice, details, naming, pictures, provenance, tables
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.views import equal_rate, hypervolume, learning, parallel, slices
from evae.search.hypervolume import hypervolume as dominated
from evae.search.outlook import outlook

DOWN = Objective("gen_fd_x", "min")


@pytest.mark.parametrize("configurations", [30, 60])
@pytest.mark.parametrize(
    ("truth", "least"),
    [(lambda x: 3 + 2 * x, 0.93), (lambda x: np.sin(6 * x), 0.95), (lambda x: np.sign(x - 1.5) / 2, 0.9)],
    ids=["line", "wave", "step"],
)
def test_the_band_covers_the_truth_as_often_as_it_says(truth: Callable, least: float, configurations: int) -> None:
    random, covered = np.random.default_rng(3), []
    for _ in range(60):
        x = random.uniform(1, 2, configurations)
        found = slices.smooth(x, truth(x) + random.normal(0, 0.3, configurations))
        covered.append(truth(found["x"]).between(found["low"], found["high"]).mean())
    assert least < np.mean(covered) < 0.995


def test_a_few_configurations_have_a_fit_without_a_band() -> None:
    random = np.random.default_rng(0)
    for n in (10, slices.BANDED - 1, slices.BANDED):
        x = random.uniform(1, 2, n)
        found = slices.smooth(x, x + random.normal(0, 0.1, n))
        assert len(found) and found[["low", "high"]].notna().all(axis=None) == (n >= slices.BANDED)


def test_the_fit_finds_a_valley_on_a_logarithmic_axis() -> None:
    random = np.random.default_rng(1)
    x = 10 ** random.uniform(-3, 1, 150)
    found = slices.smooth(x, np.log10(x / 0.05) ** 2 + random.normal(0, 0.2, 150))
    assert found.loc[found["fit"].idxmin(), "x"] == pytest.approx(0.05, rel=0.4)


def test_a_straight_line_is_fitted_exactly() -> None:
    x = np.linspace(2, 3, 12)
    found = slices.smooth(x, 5 - x)
    assert found["fit"].to_numpy() == pytest.approx(5 - found["x"].to_numpy())


@pytest.mark.parametrize("x", [np.arange(7.0), np.repeat([1.0, 2.0, 3.0, 4.0], 5)])
def test_too_few_values_give_no_fit(x: np.ndarray) -> None:
    assert slices.smooth(x, x).empty


def kernels_over_rates(effect: dict[str, float], noise: float, seed: int = 0) -> pd.DataFrame:
    """Configurations whose objective falls with the rate, and whose kernels were tried at different rates."""
    random, rows = np.random.default_rng(seed), []
    for k, (kernel, offset) in enumerate(effect.items()):
        for rate in np.exp(random.normal(3 + 0.3 * k, 0.4, 12)):
            value = 50 - 10 * np.log(rate) + offset + random.normal(0, noise)
            rows.append({"kernel": kernel, "rate_nats": rate, "rate_is": "exact", DOWN.metric: value})
    return pd.DataFrame(rows).assign(**{f"select_{DOWN.metric}": lambda t: t[DOWN.metric]})


def test_kernels_at_equal_rate_are_told_from_their_rates() -> None:
    """Raw means would rank the kernels by the rates that they were tried at."""
    table = kernels_over_rates({"a": 0.0, "b": 0.0, "c": 4.0}, noise=0.3, seed=1)
    assert table.groupby("kernel")[DOWN.metric].mean().idxmin() == "b"
    found = equal_rate.at_equal_rate(table, DOWN).set_index("kernel")
    assert found["within_noise"].to_dict() == {"a": True, "b": True, "c": False}
    assert found.loc["c", "difference"] == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize("kernels", [2, 9])
def test_among_equal_kernels_one_is_called_worse_in_few_studies(kernels: int) -> None:
    """5 % of studies at most, of which 14 of 100 have a probability of 0.05 %."""
    equal = {f"k{k}": 0.0 for k in range(kernels)}
    apart = [
        not equal_rate.at_equal_rate(kernels_over_rates(equal, 1.0, seed), DOWN)["within_noise"].all()
        for seed in range(100)
    ]
    assert sum(apart) < 14


def test_a_kernel_that_is_noisier_than_others_is_known_less_well() -> None:
    random, kernels = np.random.default_rng(0), np.repeat(["a", "b", "c"], 12)
    values = random.normal(0, np.where(kernels == "c", 3.0, 0.3))
    table = pd.DataFrame({"kernel": kernels, "rate_nats": 20.0, "rate_is": "exact", DOWN.metric: values})
    found = equal_rate.at_equal_rate(table.assign(**{f"select_{DOWN.metric}": values}), DOWN).set_index("kernel")
    assert found.loc["c", "half"] > 4 * found.loc[["a", "b"], "half"].max()


def test_a_kernel_that_is_worse_by_what_is_said_to_be_seen_is_called_so() -> None:
    """In four of five studies: 7 of 12 or more have a probability of 98 % then."""
    found = equal_rate.at_equal_rate(kernels_over_rates({"a": 0.0, "b": 0.0, "c": 0.0}, 1.0), DOWN)
    by = {"a": 0.0, "b": 0.0, "c": float(found["seen"].max())}
    told = [
        not equal_rate.at_equal_rate(kernels_over_rates(by, 1.0, seed), DOWN)
        .set_index("kernel")
        .loc["c", "within_noise"]
        for seed in range(12)
    ]
    assert sum(told) >= 7


def test_a_rate_that_is_a_bound_takes_no_part() -> None:
    table = kernels_over_rates({"a": 0.0, "b": 0.0}, 1.0)
    assert equal_rate.at_equal_rate(table.assign(rate_is="bound"), DOWN).empty


@settings(max_examples=40)
@given(st.integers(1, 3).flatmap(lambda k: st.lists(st.tuples(*[st.integers(0, 5)] * k), min_size=1, max_size=8)))
def test_hypervolume_is_the_number_of_cells_dominated(points: list[tuple[int, ...]]) -> None:
    cells = itertools.product(range(5), repeat=len(points[0]))
    counted = sum(any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points) for cell in cells)
    assert dominated(np.array(points, float), np.full(len(points[0]), 5.0)) == counted


def test_hypervolume_history_is_optunas(study: StudyData) -> None:
    table = tables.configurations(study)
    found = hypervolume.history(study, table)
    rows = tables.ranked(table, study.objectives).set_index("configuration").loc[found["configuration"]]
    points = hypervolume.scaled(rows, study.objectives)
    other = optuna.create_study(directions=["minimize", "minimize"])
    other.add_trials([optuna.trial.create_trial(values=list(map(float, point))) for point in points])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        drawn = optuna.visualization.plot_hypervolume_history(other, [1.0, 1.0])
    assert list(found["share"]) == pytest.approx(list(drawn.data[0].y))


def test_what_more_hours_would_buy_stands_beside_the_hypervolume_as_the_console_says_it(study: StudyData) -> None:
    found = outlook(study.store.rows("trials"), [(f"val_{o.metric}", o.direction) for o in study.objectives])
    drawn = tables.configurations(study)
    (chart,) = hypervolume.charts(study, hypervolume.history(study, drawn))
    assert found.known == (drawn["origin"] == "searched").sum() and found.gain is not None and found.repeated
    assert hypervolume.ahead(study) == [found.sentence()] and chart.note.endswith(found.sentence())
    short = replace(study, trials=study.trials[study.trials["number"] < 20])
    assert "cannot be told from" in hypervolume.ahead(short)[0]
    grid = replace(study, trials=study.trials.assign(origin="grid"))
    assert hypervolume.ahead(grid) == []


def test_thinned_curves_keep_their_ends() -> None:
    whole = pd.DataFrame({"trial": np.repeat(["a", "b"], 100), "epoch": np.tile(np.arange(1, 101), 2), "v": 0.0})
    found, k = learning.thin(whole, most=60)
    assert k > 1 and len(found) <= 62
    assert found.groupby("trial")["epoch"].agg(["min", "max"]).to_numpy().tolist() == [[1, 100], [1, 100]]
    assert learning.thin(whole, most=200)[1] == 1


def test_every_parameter_has_its_place_on_its_axis(study: StudyData) -> None:
    front = tables.front(tables.configurations(study), study.objectives).reset_index(drop=True)
    for axis in parallel.dimensions(front, study.objectives):
        assert np.isfinite(axis.at).all() and axis.at.min() >= -0.12 and axis.at.max() <= 1 + 1e-9
        assert set(axis.texts) != set() and len(axis.texts) == len(axis.ticks)
    beta = next(axis for axis in parallel.dimensions(front, study.objectives) if axis.label.startswith("β"))
    lacking = [params.get("beta") is None for params in front["params"]]
    assert list(beta.at == -0.12) == lacking and any(lacking)


def test_advice_to_widen_a_range_needs_the_front_at_its_edge() -> None:
    front = pd.DataFrame({"on_front": True, "label": None, "params": [{"beta": b} for b in (0.011, 0.012, 0.013, 1.0)]})
    space = {"beta": {"low": 0.01, "high": 10.0, "log": True}}
    found = advice.edges(space, front)
    assert found.to_dict("records") == [{"parameter": "beta", "end": "low", "n": 3, "of": 4}]
    middle = front.assign(params=[{"beta": b} for b in (0.1, 0.3, 0.5, 1.0)])
    assert advice.edges(space, middle).empty


def test_advice_follows_from_its_tables(study: StudyData) -> None:
    table = tables.configurations(study)
    front = tables.front(table, study.objectives)
    of = {"parameter": ["beta", "latent"], "share": [0.98, 0.02], "told": [True, False], "most": [0.9, 0.02]}
    shares = {o: pd.DataFrame(of) for o in study.objectives}
    found = (
        advice.next_steps(study, table, front, hypervolume.history(study, table), shares)
        .groupby("kind")["text"]
        .agg(list)
    )
    assert "latent size: explains less than 5 %" in found["idle"][0] and "β" not in found["idle"][0]
    close = advice.contenders(table, study.objectives[0])
    assert any(f"{len(close) - 1} other configuration" in text for text in found["noise"])
    seeds = study.trials["seed"].nunique()
    assert found["noise"][0].startswith(f"Add seeds, with --extend --seeds {seeds + 1} or more")
    single = replace(study, trials=study.trials[study.trials["seed"] == 0])
    one = tables.configurations(single)
    assert (
        "--extend --seeds 2"
        in advice.next_steps(single, one, tables.front(one, study.objectives), hypervolume.history(single, one), {})[
            "text"
        ].str.cat()
    )


def test_late_progress_is_that_of_the_last_quarter(study: StudyData) -> None:
    steady = pd.DataFrame(
        {"trial": "t", "configuration": "c", "epoch": range(1, 9), "val_distortion_nats": range(80, 0, -10)}
    )
    some = replace(study, epochs=steady, trials=study.trials.head(1).assign(trial="t", state="finished"))
    assert advice.late_progress(some)["share"].tolist() == pytest.approx([2 / 7])
    for keep, how in {
        "weights": "with --extend --keep states --epochs 16, for example, trains finished trials anew",
        "states": "with --extend --epochs 16, for example, goes on from the kept states",
    }.items():
        kept = replace(some, manifest=some.manifest | {"options": {"epochs": 8, "keep": keep}})
        said = advice.next_steps(kept, tables.configurations(kept), pd.DataFrame(), pd.DataFrame(), {})
        assert how in " ".join(said["text"])


def test_details_name_what_the_panel_shows(study: StudyData) -> None:
    table = tables.configurations(study)
    found = details.configurations(study, table, tables.front(table, study.objectives))
    common = details.common_recipe(study)
    trials = details.trials(study, table)
    first = details.shown_metrics(study).index(study.objectives[0].metric)
    half = f"{study.objectives[0].metric}_half"
    for entry, row in zip(found, table.to_dict("records"), strict=True):
        wanted = naming.interval(row[study.objectives[0].metric], row[half]) if row["n"] else None
        assert entry["values"][first] == wanted
    for entry, configuration in zip(found, table["configuration"], strict=True):
        own = study.trials[study.trials["configuration"] == configuration]
        assert [trials[i]["id"] for i in entry["trials"]] == list(own["trial"])
        assert common | entry["recipe"] == json.loads(own["recipe"].iloc[0])
    known = study.trials["rate_per_latent"].notna()
    assert [t["rates"] is not None for t in trials] == list(known) and known.any()


def test_small_budgets_show_the_best_first_and_say_what_is_missing(study: StudyData) -> None:
    table = tables.configurations(study)
    front = tables.front(table, study.objectives)
    order = pictures.wanted(study, front)
    assert len(order) == (study.trials["state"] == "finished").sum()
    assert order[0] in set(front.loc[front["on_front"], "trial"])
    whole = pictures.pictures(study, front.iloc[:0], order)
    assert whole.reduced == whole.left_out == 0 and set(whole.of) == set(order)
    none = pictures.pictures(study, front.iloc[:0], order, budget=0)
    assert none.left_out + none.reduced == len(order) and none.left_out > 0
    assert len(whole.files) == len(set(whole.files))


def test_a_strip_holds_the_first_rows_of_each_kind(study: StudyData) -> None:
    rows = study.pictures(study.trials["trial"].iloc[0])
    content, pieces = pictures.strip(rows)
    assert [piece[0] for piece in pieces] == ["reconstructed", "sampled", "interpolated"]
    image = np.asarray(Image.open(io.BytesIO(content)).convert("L"), float)
    for kind, y, height, width in pieces:
        png = next(row["png"] for row in rows if row["kind"] == kind)
        stored = np.asarray(Image.open(io.BytesIO(png)).convert("L"), float)[:height, :width]
        assert np.abs(image[y : y + height, :width] - stored).mean() < 12
    assert len(content) < 0.45 * sum(len(row["png"]) for row in rows)


def test_distances_of_one_identity_compare(study: StudyData) -> None:
    said = dict((text, agrees) for agrees, text in provenance.comparable(study))
    assert any(text.startswith("gen_fd_") and "one identity" in text and agrees for text, agrees in said.items())
    mixed = replace(study, trials=study.trials.assign(precision=["fp32", *["bf16"] * (len(study.trials) - 1)]))
    assert (False, "Arithmetic: bf16 and fp32, so values may differ by it.") in provenance.comparable(mixed)


def test_threads_and_kinds_of_processor_are_among_what_makes_numbers_comparable(study: StudyData) -> None:
    said = provenance.comparable(study)
    assert (True, "Threads of a process: 1.") in said
    assert (True, "Kind of processor: Some CPU @ 2.50GHz, AVX2.") in said
    others = study.trials.assign(threads=[2.0, *[1.0] * (len(study.trials) - 1)], processor=["X", *["Y"] * 79])
    said = provenance.comparable(replace(study, trials=others))
    assert (False, "Threads of a process: 1 and 2, so values may differ by it.") in said
    assert (False, "Kind of processor: X and Y, so values may differ by it.") in said


RAN = {"device": "cuda", "precision": "bf16", "processor": "NVIDIA H100; rm -r ~", "threads": "4", "workers": "2"}


def test_what_a_trial_ran_on_goes_into_its_command_as_far_as_it_is_known(study: StudyData) -> None:
    given = {name: float(value) if value.isdigit() else value for name, value in RAN.items()}
    columns = {name: [value, *[None] * (len(study.trials) - 1)] for name, value in given.items()}
    some = replace(study, trials=study.trials.assign(**columns))
    assert [shlex.split(text) for text in details.conditions(some)] == [
        [f"--{name}" if i == 0 else value for name, value in RAN.items() for i in (0, 1)],
        [],
    ]
    entries = details.trials(some, tables.configurations(some))
    assert [entry["ran"] for entry in entries] == [0, *[1] * (len(study.trials) - 1)]


@pytest.mark.slow
def test_ten_thousand_trials_build_and_say_what_was_thinned(tmp_path: Path) -> None:
    from analysis.report import write_report

    write_study(tmp_path, configurations=10_000, seeds=1, with_pictures=2_500)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    for said in (
        "configurations are drawn",
        "one in 3 epochs",
        "10,000 trials are drawn",
        "had no room",
        "2,000 of 8,",
    ):
        assert said in text


def test_a_recipe_is_put_together_of_the_common_one_without_parts_that_it_lacks(study: StudyData) -> None:
    trials = study.trials.copy()
    first = json.loads(trials["recipe"].iloc[0])
    trials.loc[trials["configuration"] == trials["configuration"].iloc[0], "recipe"] = json.dumps(
        first | {"plugins": {"mine.py": "0123"}}
    )
    some = replace(study, trials=trials)
    common, table = details.common_recipe(some), tables.configurations(some)
    entries = details.configurations(some, table, tables.front(table, some.objectives))
    for entry, text in zip(entries, trials.drop_duplicates("configuration")["recipe"], strict=True):
        assert {**common, **entry["recipe"]} == json.loads(text)
