"""Our numbers beside the paper's, whatever some trials lack."""

import json
from pathlib import Path

import pytest
from synthetic import write_study

from analysis.page import page
from analysis.study.load import StudyData, load
from analysis.views import reproduction
from evae.results.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two seeds of the VAE and of an EVAE on MNIST, as the study of the paper's settings writes them."""
    store = write_study(tmp_path, configurations=2, seeds=2)
    (row,) = store.read("study").to_pylist()
    data = json.loads(row["data"]) | {"source": "mnist"}
    store.write("study", row["session"], [row | {"data": json.dumps(data)}])
    for row in store.read("trials").to_pylist():
        known = {"param_model": ["VAE", "EVAE B=0.1"][row["number"]], "param_latent": 8, "rec_sharpness": 0.02}
        known |= {"rec_fd_efficientnet_lite0_b4": 10.0 * (1 + row["number"]) + row["seed"]}
        store.write("trials", row["trial"], [row | known])
    return store


def lines(study: StudyData) -> dict[str, reproduction.Line]:
    return {line.model: line for line in reproduction.table(study)[1]}


def test_means_and_ratios_are_those_of_the_seeds(store: Store) -> None:
    found = lines(load(store.location))
    ours = found["EVAE B=0.1"]
    assert (ours.distance, ours.distance_ratio, ours.seeds) == (20.5, pytest.approx(20.5 / 10.5), 2)
    assert ours.paper_fid_ratio == pytest.approx(14.74 / 15.70) and found["VAE"].distance_ratio == 1


@pytest.mark.parametrize("lost", ["param_model", "param_latent", "rec_fd_efficientnet_lite0_b4", "rec_sharpness"])
def test_a_trial_that_lacks_something_costs_the_others_nothing(store: Store, lost: str) -> None:
    row = next(row for row in store.read("trials").to_pylist() if (row["number"], row["seed"]) == (1, 1))
    store.write("trials", row["trial"], [{key: value for key, value in row.items() if key != lost}])
    study = load(store.location)
    found = lines(study)
    assert found["VAE"].distance == 10.5 and found["VAE"].sharpness == 0.02
    assert found["EVAE B=0.1"].distance == (20.5 if lost == "rec_sharpness" else 20)
    assert found["EVAE B=0.1"].sharpness == 0.02
    assert "nan" not in reproduction.as_markdown(study) and page.render(study)


def test_images_that_the_paper_does_not_have_leave_the_table_out(store: Store) -> None:
    (row,) = store.read("study").to_pylist()
    store.write("study", row["session"], [row | {"data": json.dumps({"source": ["mnist"]})}])
    assert lines(load(store.location)) == {}


def test_the_papers_ratios_are_of_one_table_each(store: Store) -> None:
    """Of Fashion-MNIST at 64 latents table 2 has other runs than table 3, and a VAE of its own."""
    (row,) = store.read("study").to_pylist()
    store.write("study", row["session"], [row | {"data": json.dumps({"source": "fashion-mnist"})}])
    trials = store.read("trials").to_pylist()
    models = {"EVAE B=0.1": 3, "EVAE B=10": 2, "beta-VAE 0.1": 2, "autoencoder": None}
    for number, model in enumerate(models, 2):
        for row in trials[:2]:
            known = {"trial": f"{number}-s{row['seed']}", "configuration": str(number), "number": number}
            store.write("trials", known["trial"], [row | known | {"param_model": model, "param_latent": 64}])
    study = load(store.location)
    found = {line.model: line for line in reproduction.table(study)[1] if line.latent == 64}
    assert {model: found[model].paper_table for model in models} == models
    ratios = {model: found[model].paper_fid_ratio for model in models}
    expected = {"EVAE B=0.1": 12.02 / 39.31, "EVAE B=10": 32.6 / 39.1, "beta-VAE 0.1": 19.5 / 39.1, "autoencoder": None}
    assert ratios == {model: ratio and pytest.approx(ratio) for model, ratio in expected.items()}
    assert found["beta-VAE 0.1"].paper_sharpness_ratio == pytest.approx(0.023 / 0.016)
    assert "| 32.60 | 0.83 | 0.0190 | 1.19 | 2 |" in reproduction.as_markdown(study)


@pytest.mark.parametrize("source", reproduction.PAPER)
def test_every_table_has_the_vae_that_its_ratios_are_to(source: str) -> None:
    for published in reproduction.PAPER[source].values():
        assert {("VAE", latent) for _, latent in published} <= set(published)
