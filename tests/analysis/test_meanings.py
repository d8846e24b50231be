"""What a value means decides what it is compared with: floors of distances, and rates that are no divergence."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import write_study

from analysis.page import comparison
from analysis.page.page import render
from analysis.study import details, epochs, identities, naming, provenance, tables, words
from analysis.study.load import StudyData, load, metric_columns
from analysis.study.naming import Objective
from analysis.views import front, learning, rate_distortion
from evae.results.store import Store

EARLIER = Path(__file__).parents[1] / "earlier" / "store"
RATE, PSNR = Objective("rate_nats", "min"), Objective("rec_psnr_db", "max")
OLD = {"features": "f", "digest": "d", "resize": "r", "n_real": 500, "n_generated": 500, "split": "test", "seed": 0}
OLD |= {"floor": 31.8, "kernel_floor": -461.0, "floor_n": 500}
NEW = {key: value for key, value in OLD.items() if key != "kernel_floor"} | {"pairs": None, "floor_sd": None}


def study_of(tmp_path: Path, objectives: list[Objective], changes: dict[int, dict[str, Any]]) -> StudyData:
    """A made-up study with these objectives, and other values in trials of some configurations (by number)."""
    store = write_study(tmp_path, configurations=8, seeds=2, with_pictures=0)
    for row in store.read("trials").to_pylist():
        store.write("trials", row["trial"], [row | changes.get(row["number"], {})])
    (row,) = store.read("study").to_pylist()
    asked = json.dumps([[o.metric, o.direction] for o in objectives])
    store.write("study", row["session"], [row | {"objectives": asked}])
    return load(tmp_path)


def with_distances(study: StudyData, *identities: dict[str, dict[str, Any]]) -> StudyData:
    texts = [json.dumps(identities[i % len(identities)]) for i in range(len(study.trials))]
    return replace(study, trials=study.trials.assign(distances=texts))


@pytest.mark.parametrize("identity", [OLD, NEW | {"floor": 31.8}])
def test_only_frechet_distances_of_samples_have_a_floor_above_zero(study: StudyData, identity: dict[str, Any]) -> None:
    """Also in stores that give the same floors for all: reconstructions are of the same images."""
    names = [f"{split}{side}_{kind}_x" for split in ("", "val_") for side in ("gen", "rec") for kind in ("fd", "kd")]
    found = with_distances(study, {name: identity for name in names})
    assert {name: identities.floor(found, name) for name in names} == {
        name: 31.8 if "gen_fd" in name else 0.0 for name in names
    }


def test_a_kernel_distance_of_real_images_is_zero_give_or_take_its_spread(study: StudyData) -> None:
    objectives = [Objective(f"{side}_{kind}_x", "min") for side in ("gen", "rec") for kind in ("fd", "kd")]
    spread = {
        "gen_kd_x": NEW | {"floor": 0.0, "floor_sd": 272.0},
        "val_gen_kd_x": NEW | {"floor": 0.0, "floor_sd": 9.0},
    }
    found = with_distances(study, spread | {"gen_fd_x": NEW, "rec_fd_x": NEW | {"floor": 0.0}, "rec_kd_x": NEW})
    found = replace(found, objectives=objectives)
    assert identities.floor_sd(found, "gen_kd_x") == 272 and identities.floor_sd(found, "val_gen_kd_x") == 9
    assert math.isnan(identities.floor_sd(found, "rec_kd_x"))
    said = words.yardsticks(found)
    assert "0 on average, with a standard deviation of 272" in said
    assert said.count("fall below") == 1 and "31.8 apart in generation Fréchet distance" in said
    assert "reconstruction" not in said


def test_marks_of_real_images_are_for_samples_alone() -> None:
    floors = {"gen_fd_x": 31.8, "gen_kd_x": 0.0, "rec_fd_x": 0.0}
    marks = {metric: front._marks(Objective(metric, "min"), 0.1, floors) for metric in floors}
    assert marks == {
        "gen_fd_x": {"real against real": 31.8},
        "gen_kd_x": {"real against real, on average": 0.0},
        "rec_fd_x": {},
    }


def test_kernel_distances_with_and_without_pairs_do_not_compare(study: StudyData) -> None:
    """A store of version 0.1 that this version has continued holds both."""
    both = [{"gen_kd_x": one, "rec_kd_x": one} for one in (OLD, NEW)]
    both[1]["rec_kd_x"] = NEW | {"pairs": "left out"}
    said = provenance.comparable(with_distances(study, *both))
    assert (True, f"gen_kd_x: one identity for all {len(study.trials)} trials.") in said
    assert (False, "rec_kd_x: taken in 2 ways that differ in pairs: do not compare.") in said


def test_stores_of_the_version_before_give_an_autoencoder_no_rate() -> None:
    assert Store(EARLIER).read("trials").to_pandas().query("rate_is == 'none'")["rate_nats"].eq(0).all()
    study = load(EARLIER)
    lacking = study.trials["rate_is"] == "none"
    assert lacking.sum() == 2
    for metric in ("rate_nats", "val_rate_nats", "active_units", "aggregate_w1", "rate_per_latent"):
        assert study.trials.loc[lacking, metric].isna().all() and study.trials.loc[~lacking, metric].notna().all()
    curves = epochs.learning_curves(study, "val_rate_nats")
    assert set(curves["trial"]) == set(study.trials.loc[~lacking, "trial"])
    entries = details.trials(study, tables.configurations(study))
    assert [entry["rates"] is None for entry in entries] == list(lacking)


NONE = {"rate_is": "none", "rate_nats": 0.0, "val_rate_nats": 0.0}
BOUND = {"rate_is": "bound", "rate_nats": 0.02, "val_rate_nats": 0.02}


def test_a_rate_ranks_only_where_it_is_the_exact_divergence(tmp_path: Path) -> None:
    study = study_of(tmp_path, [RATE], {0: NONE, 3: BOUND, 5: BOUND})
    table = tables.configurations(study)
    numbers = set(tables.best(table, RATE)["number"])
    assert numbers.isdisjoint({0, 3, 5}) and {1, 2} <= numbers
    said = words.best(table, RATE)
    finished = int((table.loc[table["number"].isin([3, 5]), "n"] > 0).sum())
    assert "Best rate (lowest): " in said and "autoencoder" not in said.partition(" Not ranked")[0]
    assert f"Not ranked by it: {finished} configuration" in said and "1 configuration without a rate" in said
    assert 3 in set(table["number"]) and table.set_index("number").loc[3, "rate_nats"] == pytest.approx(0.02)


def test_beside_another_objective_too(tmp_path: Path) -> None:
    """What has no exact rate dominates nothing; by the other objective alone it is ranked."""
    study = study_of(tmp_path, [RATE, PSNR], {0: NONE, 3: BOUND})
    table = tables.configurations(study)
    assert set(tables.front(table, study.objectives)["number"]).isdisjoint({0, 3})
    assert {0, 3} <= set(tables.best(table, PSNR)["number"])


def test_where_no_rate_is_exact_nothing_is_ranked_and_it_is_said_why(tmp_path: Path) -> None:
    study = study_of(tmp_path, [RATE], {number: BOUND for number in range(8)})
    said = " ".join(words.summary(study, tables.configurations(study)))
    assert "nothing to rank" in said and "whose rate is a bound and no KL divergence" in said


def test_studies_are_compared_by_exact_rates_alone(tmp_path: Path) -> None:
    """Also where the rate was no objective of the second."""
    studies = [
        study_of(tmp_path / "a", [RATE], {3: BOUND}),
        study_of(tmp_path / "b", [PSNR], {3: BOUND}),
    ]
    rows = comparison.best(studies, [RATE])
    assert (rows["value"] > 1).all()
    for trace in comparison.figure(studies, ["a", "b"], [RATE]).data:
        assert min(trace.y) > 1


def test_charts_say_which_rates_are_bounds(tmp_path: Path) -> None:
    study = study_of(tmp_path, [PSNR], {3: BOUND})
    table = tables.front(tables.configurations(study), study.objectives)
    (chart,) = rate_distortion.charts(study, table)
    lines = [trace for trace in chart.figure.data if trace.mode == "lines"]
    exact = table[table["rate_is"] == "exact"]
    lowest = float((exact["rate_nats"] + exact["distortion_nats"]).min())
    assert min(line.x[0] + line.y[0] for line in lines) == pytest.approx(lowest)
    assert "a bound" in chart.note
    notes = {chart.key: chart.note for chart in learning.charts(study, table)}
    assert "does not compare" in notes["val_rate_nats"] and not notes["val_distortion_nats"]


def test_a_table_without_kinds_of_rates_ranks_as_before() -> None:
    table = pd.DataFrame({"rate_nats": [2.0, 1.0], "select_rate_nats": [2.0, 1.0]})
    assert list(tables.best(table, RATE)["rate_nats"]) == [1.0, 2.0]
    assert list(tables.best(table.assign(rate_is=[np.nan, "exact"]), RATE)["rate_nats"]) == [1.0, 2.0]


def test_accuracies_have_names_identities_and_a_value_for_guessing(racing: StudyData) -> None:
    identity = {"labels": "a1", "n_labels": 200, "n_measured": 500, "split": "test", "seed": 0, "chance": 0.1}
    trials = racing.trials.assign(knn_accuracy_200=0.8, val_linear_accuracy_17=0.7, knn_speed=1.0)
    of = {"knn_accuracy_200": identity, "gen_fd_x": NEW}
    found = with_distances(replace(racing, trials=trials), of)
    assert {"knn_accuracy_200", "val_linear_accuracy_17"} <= set(metric_columns(trials))
    assert "knn_speed" not in metric_columns(trials)
    assert naming.label("knn_accuracy_200") == "5-nearest-neighbour accuracy, 200 labels"
    assert naming.label("val_linear_accuracy_17") == "linear accuracy, 17 labels"
    assert naming.unit("linear_accuracy_17") == "share of images"
    assert identities.floor(found, "knn_accuracy_200") == 0.1
    assert comparison.identity(found, "knn_accuracy_200")["labels"] == "a1"
    assert "labels" not in comparison.identity(found, "gen_fd_x")
    other = with_distances(found, of, of | {"knn_accuracy_200": identity | {"labels": "b2"}})
    said = provenance.comparable(other)
    assert (False, "knn_accuracy_200: taken in 2 ways that differ in labels: do not compare.") in said
    assert (True, f"gen_fd_x: one identity for all {len(trials)} trials.") in said
    page = render(found)
    assert "<h3>Accuracies</h3>" in page and '<td class="mono">a1</td><td class="number">200</td>' in page


def test_likelihoods_compare_where_they_took_as_many_samples(racing: StudyData) -> None:
    few = {"samples": 10, "n_measured": 500, "split": "test", "seed": 0}
    trials = racing.trials.assign(nll_nats=90.0, val_bits_per_dim=1.2)
    found = with_distances(replace(racing, trials=trials), {"nll_nats": few, "gen_fd_x": NEW})
    assert {"nll_nats", "val_bits_per_dim"} <= set(metric_columns(trials))
    assert math.isnan(identities.floor(found, "nll_nats"))
    assert comparison.identity(found, "nll_nats")["samples"] == "10"
    page = render(found)
    assert '<td class="mono">nll_nats</td><td class="number">10</td><td class="number">500</td>' in page
    assert "<h3>Likelihoods</h3>" not in render(racing)
    more = with_distances(found, {"nll_nats": few}, {"nll_nats": few | {"samples": 100}})
    said = provenance.comparable(more)
    assert (False, "nll_nats: taken in 2 ways that differ in samples: do not compare.") in said


def test_codes_that_are_maps_have_the_rates_of_their_channels(tmp_path: Path) -> None:
    maps = {"code_shape": "2 x 4 x 4", "rate_per_channel": [1.0, 2.5], "rate_per_latent": None}
    study = study_of(tmp_path, [RATE], {3: maps})
    entries = details.trials(study, tables.configurations(study))
    for entry, number in zip(entries, study.trials["number"], strict=True):
        if number == 3:
            assert (entry["codes"], entry["rates"]) == ("2 x 4 x 4", [1.0, 2.5])
        else:
            assert entry["codes"] is None and (entry["rates"] is None or len(entry["rates"]) >= 8)
