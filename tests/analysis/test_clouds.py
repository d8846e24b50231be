"""Models of points on the page: what is drawn, and what is left out when it is damaged."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import write_study

from analysis.page.page import render
from analysis.study import naming, tables
from analysis.study.load import StudyData, load
from analysis.views.clouds import charts, cloud_figure, clouds


def rows_of(dimensions: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(dimensions)
    y = rng.normal(size=5).tolist() if dimensions > 1 else None
    found = [{"kind": kind, "x": rng.normal(size=5).tolist(), "y": y, "values": None} for kind in ("data", "sampled")]
    if dimensions <= 2:
        sides = [0.0, 1.0, 2.0], [0.0, 1.0] if dimensions == 2 else None
        values = [float(i) for i in range(6 if dimensions == 2 else 3)]
        found.append({"kind": "density", "x": sides[0], "y": sides[1], "values": values})
    return found


@pytest.fixture
def study(tmp_path: Path) -> StudyData:
    store = write_study(tmp_path, configurations=6, seeds=1)
    (row,) = store.read("study").to_pylist()
    about = json.loads(row["data"]) | {"kind": "points"}
    store.write("study", row["session"], [row | {"data": json.dumps(about)}])
    for trial in store.read("trials").to_pylist():
        store.write("clouds", trial["trial"], rows_of(2))
    return load(tmp_path)


@pytest.fixture(autouse=True)
def images_again():
    yield
    naming.of_kind("images")


def test_each_configuration_of_the_gallery_has_its_clouds(study):
    front = tables.front(tables.configurations(study), study.objectives)
    found = charts(study, front)
    assert found and len({chart.key for chart in found}) == len(found)
    assert all("test data" in [trace.name for trace in chart.figure.data] for chart in found)
    page = render(study)
    assert all(f'data-figure="{chart.key}"' in page for chart in found)
    assert "No pictures were recorded" not in page


def test_what_is_no_bound_by_samples_is_not_called_one(study):
    """Neither the likelihood of points nor a perceptual distance."""
    about = {
        "log_likelihood_nats": {"codes": 4000, "how": "grid", "split": "test", "seed": 0},
        "rec_st_lpips_alex": {"digest": "d1", "n_measured": 500, "split": "test"},
    }
    page = render(replace(study, trials=study.trials.assign(distances=json.dumps(about))))
    assert "<h3>Likelihoods of points</h3>" in page and "<h3>Perceptual distances</h3>" in page
    assert "<h3>Likelihoods</h3>" not in page


def test_a_density_keeps_its_places(study):
    heat = next(
        trace for trace in cloud_figure({row["kind"]: row for row in rows_of(2)}).data if trace.type == "heatmap"
    )
    assert [list(line) for line in heat.z] == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("dimensions", "types"), [(1, {"histogram", "scatter"}), (2, {"heatmap", "scatter"}), (5, {"scatter"})]
)
def test_points_of_any_number_are_drawn(dimensions, types):
    drawn = cloud_figure({row["kind"]: row for row in rows_of(dimensions)})
    assert {trace.type for trace in drawn.data} == types
    assert ("principal axis" in drawn.layout.xaxis.title.text) == (dimensions == 5)


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "data", "x": None, "y": None, "values": None},
        {"kind": "data", "x": [1.0, 2.0], "y": [1.0], "values": None},
        {"kind": "density", "x": [1.0, 2.0], "y": [1.0, 2.0], "values": [1.0]},
        {"kind": "something else", "x": [1.0], "y": [1.0], "values": None},
    ],
)
def test_what_does_not_fit_is_left_out(study, row):
    trial = study.trials["trial"].iloc[0]
    study.store.write("clouds", trial, [row])
    assert clouds(study, trial) == {}


def test_a_study_of_images_has_none_and_units_speak_of_its_data(study, tmp_path):
    assert naming.unit("elbo_nats") == "nats per point"
    images = load(write_study(tmp_path / "images", configurations=3, seeds=1))
    assert naming.unit("elbo_nats") == "nats per image"
    assert not charts(images, tables.front(tables.configurations(images), images.objectives))
