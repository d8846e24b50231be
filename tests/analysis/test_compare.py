"""Studies side by side: together where their distances have one identity, apart and with the reason where not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import needs_chromium, new_page, open_page
from named import write_named
from playwright.sync_api import Browser
from synthetic import DISTANCE, SHARPNESS, write_study

from analysis.page import comparison
from analysis.study import tables
from analysis.study.load import load
from analysis.study.naming import Objective
from evae.errors import UserError
from evae.results.store import Store


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Two studies that agree, and one whose distances are of fewer images."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two", "fewer")]
    for folder in folders:
        write_study(folder, configurations=6, seeds=2)
    store = Store(folders[2])
    for row in store.read("trials").to_pylist():
        of = {metric: identity | {"n_real": 100} for metric, identity in json.loads(row["distances"] or "{}").items()}
        store.write("trials", row["trial"], [row | {"distances": json.dumps(of)}])
    return tuple(map(str, folders))


def figures(page: str) -> dict[str, dict]:
    return json.loads(page[page.index('id="data">') + 10 :].partition("</script>")[0])["figures"]


def test_studies_that_agree_share_an_axis(pair: tuple[str, str, str]) -> None:
    studies = [load(place) for place in pair[:2]]
    found = comparison.groups(studies, comparison.shared(studies))
    assert [group.members for group in found] == [(0, 1)] and found[0].reasons == ()


def test_distances_of_different_identity_never_share_an_axis(pair: tuple[str, str, str]) -> None:
    studies = [load(place) for place in pair]
    found = comparison.groups(studies, comparison.shared(studies))
    assert [group.members for group in found] == [(0, 1), (2,)]
    assert found[1].reasons == ("generation Fréchet distance: n_real is 100, of the first 500",)
    text = comparison.render(pair)
    assert "not drawn on one axis" in text and "n_real is 100" in text
    drawn = figures(text)
    assert [len(drawn[f"group-{k}"]["data"]) for k in range(2)] == [2, 1]


def test_what_is_taken_on_features_has_the_identity_of_their_distance(pair: tuple[str, str, str]) -> None:
    studies = [load(place) for place in pair]
    found = comparison.groups(studies, [Objective("gen_precision", "max")])
    assert [group.members for group in found] == [(0, 1), (2,)]
    assert found[1].reasons == ("generation precision: n_real is 100, of the first 500",)


def test_likelihoods_of_other_numbers_of_samples_never_share_an_axis(pair: tuple[str, str, str]) -> None:
    few, many = (
        replace(study, trials=study.trials.assign(distances=json.dumps({"nll_nats": {"samples": samples}})))
        for study, samples in ((load(pair[0]), 10), (load(pair[1]), 100))
    )
    (_, other) = comparison.groups([few, many], [Objective("nll_nats", "min")])
    assert other.reasons == ("negative log likelihood: samples is 100, of the first 10",)


def test_other_metrics_share_an_axis_whatever_the_distances_are(pair: tuple[str, str, str]) -> None:
    studies = [load(place) for place in pair]
    sharpness = [o for o in comparison.shared(studies) if o.metric == SHARPNESS]
    assert len(comparison.groups(studies, sharpness)) == 1


def test_the_best_is_that_of_each_study(pair: tuple[str, str, str]) -> None:
    studies = [load(place) for place in pair]
    found = comparison.best(studies, comparison.shared(studies))
    for study in studies:
        first = tables.best(tables.configurations(study), study.objectives[0]).iloc[0]
        of_distance = found["objective"].map(lambda o: o.metric) == DISTANCE
        row = found[(found["study"] == study.location) & of_distance].iloc[0]
        assert (row["name"], row["value"]) == (first["name"], first[DISTANCE])


def test_what_cannot_be_compared_is_refused(pair: tuple[str, str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two studies"):
        comparison.render(pair[:1])
    store = write_study(tmp_path, configurations=4, seeds=1)
    for row in store.read("trials").to_pylist():
        kept = {k: v for k, v in row.items() if DISTANCE not in k and SHARPNESS not in k}
        store.write("trials", row["trial"], [kept])
    with pytest.raises(UserError, match="share an objective"):
        comparison.render([pair[0], str(tmp_path)])


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Studies of three data sets, on which the EVAE has half and the autoencoder all of the VAE's distance."""
    random = np.random.default_rng(4)
    sizes = {"digits": 1.0, "clothes": 30.0, "faces": 900.0}
    folders = [str(tmp_path_factory.mktemp(name)) for name in sizes]
    for folder, (source, size) in zip(folders, sizes.items(), strict=True):
        values = {
            name: {DISTANCE: of * size * np.exp(random.normal(0, 0.02, 3))}
            for name, of in (("VAE", 2.0), ("EVAE", 1.0), ("autoencoder", 2.0))
        }
        write_named(folder, source, values)
    return folders


def test_the_page_begins_with_what_compares_across_data_sets(three: list[str]) -> None:
    text = comparison.render(three)
    assert text.index("Across data sets") < text.index("Best of each")
    assert "Generation Fréchet distance, against VAE, over 3 data sets: EVAE better, 0.5" in text
    assert "the same sign on 3 of 3 data sets); no difference is shown of 1 configuration." in text
    table = text[text.index('id="effects"') :].partition("</table>")[0]
    assert table.count("differs: better") == 1 and table.count("no difference shown") == 1
    forest = figures(text)[f"forest-{DISTANCE}"]
    assert [trace["name"] for trace in forest["data"]][3:] == [
        "all together: differs",
        "all together: no difference shown",
    ]
    assert forest["layout"]["xaxis"]["type"] == "log"
    assert forest["data"][3]["x"][0] == pytest.approx(0.5, rel=0.1)


def test_another_reference_turns_ratios_round(three: list[str]) -> None:
    text = comparison.render(three, "EVAE")
    assert (
        "against EVAE, over 3 data sets: VAE worse, 2." in text
        or "against EVAE, over 3 data sets: VAE worse, 1.9" in text
    )
    with pytest.raises(UserError, match=r"Did you mean 'EVAE'.*Known: EVAE, VAE, autoencoder"):
        comparison.render(three, "EVEA")


def test_objectives_that_one_study_lacks_are_left_out_and_said(three: list[str], tmp_path: Path) -> None:
    write_named(tmp_path, "paintings", {"VAE": {DISTANCE: [1.0, 1.1], SHARPNESS: [0.1, 0.2]}}, (DISTANCE, SHARPNESS))
    text = comparison.render([*three, str(tmp_path)])
    assert f"{SHARPNESS} is left out: digits and clothes and faces did not measure it." in text


@needs_chromium
def test_the_page_draws_without_errors(three: list[str], browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(comparison.render(three), encoding="utf-8")
    page = new_page(browser)
    trouble = open_page(page, tmp_path / "page.html")
    page.wait_for_selector(f"[data-figure='forest-{DISTANCE}'] .plot-container .errorbar")
    assert not trouble
