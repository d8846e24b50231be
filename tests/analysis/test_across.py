"""Named configurations on several data sets: what an effect is, what is combined, and what is left out and said."""

import json
from pathlib import Path

import numpy as np
import pytest
from named import write_named
from scipy.stats import ttest_ind
from synthetic import DISTANCE

from analysis.study.across import Across, across
from analysis.study.load import StudyData, load
from analysis.study.naming import Objective
from evae.errors import UserError
from evae.results.store import Store

OBJECTIVE = Objective(DISTANCE, "min")
VALUES = {"VAE": [2.0, 2.1], "EVAE": [1.0, 1.05], "autoencoder": [2.0, 2.2]}


def of(values: dict[str, list[float]], times: float = 1.0, metric: str = DISTANCE) -> dict[str, dict[str, list[float]]]:
    return {label: {metric: [times * v for v in own]} for label, own in values.items()}


def write(tmp_path: Path, *sources: str, **options: object) -> list[StudyData]:
    """A study for each source, with the same effects at another scale."""
    for i, source in enumerate(sources):
        write_named(tmp_path / str(i), source, of(VALUES, 10.0**i), **options)
    return [load(tmp_path / str(i)) for i in range(len(sources))]


def found(studies: list[StudyData], against: str | None = None, *objectives: Objective) -> Across:
    names = [f"study {i}" for i in range(len(studies))]
    return across(studies, names, objectives or [OBJECTIVE], against)


def said(result: Across, text: str) -> bool:
    return any(text in note for note in result.notes)


def test_an_effect_is_a_ratio_whatever_the_scale_of_the_data(tmp_path: Path) -> None:
    result = found(write(tmp_path, "a", "b", "c"))
    assert (result.reference, result.labels) == ("VAE", ("EVAE", "autoencoder"))
    own = result.effects[result.effects["label"] == "EVAE"]
    assert own["effect"].to_numpy() == pytest.approx(np.full(3, np.log(0.5)))
    assert own["half"].to_numpy() == pytest.approx(np.full(3, own["half"].iloc[0])) and own["enters"].all()
    row = result.combined.set_index("label").loc["EVAE"]
    assert (row["n"], row["tau"], row["differs"]) == (3, 0, True) and row["effect"] == pytest.approx(np.log(0.5))
    assert not result.combined.set_index("label").loc["autoencoder", "differs"]
    assert not result.notes


def test_the_interval_of_one_study_is_that_of_the_t_test_on_logarithms(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    values = {"VAE": list(np.exp(random.normal(3, 0.1, 30))), "EVAE": list(np.exp(random.normal(2, 0.1, 30)))}
    for name in "ab":
        write_named(tmp_path / name, name, of(values))
    row = found([load(tmp_path / name) for name in "ab"]).effects.iloc[0]
    plain = ttest_ind(np.log(values["EVAE"]), np.log(values["VAE"]), equal_var=False)
    interval = plain.confidence_interval()
    assert row["effect"] == pytest.approx((interval.low + interval.high) / 2, abs=0.01)
    # Spreads are shrunk towards each other, those here to one.
    assert row["half"] == pytest.approx((interval.high - interval.low) / 2, rel=0.1)


def test_what_trials_of_a_seed_share_does_not_widen_an_interval(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    for name in "ab":
        shared = random.normal(0, 0.3, 4)
        values = {f"model {i}": list(np.exp(3 + shared + random.normal(0, 0.01, 4))) for i in range(8)}
        write_named(tmp_path / name, name, of(values))
    result = found([load(tmp_path / name) for name in "ab"])
    assert (result.effects["half"] < 0.1).all() and (result.effects["error"] < 0.04).all()


def test_the_reference_is_the_vae_or_the_first_control_or_what_is_asked_for(tmp_path: Path) -> None:
    studies = write(tmp_path, "a", "b")
    turned = found(studies, "EVAE")
    assert turned.effects.iloc[0]["label"] == "VAE" and turned.effects.iloc[0]["effect"] > 0
    with pytest.raises(UserError, match="Did you mean 'autoencoder'"):
        found(studies, "autoencode")
    for name in "xy":
        write_named(tmp_path / name, name, of({"beta-VAE": [2.0, 2.1], "EVAE": [1.0, 1.1]}))
    assert found([load(tmp_path / name) for name in "xy"]).reference == "beta-VAE"


def test_what_does_not_mean_the_same_is_left_out_with_the_reason(tmp_path: Path) -> None:
    write_named(tmp_path / "0", "a", of(VALUES))
    width = {"EVAE": {"posterior": {"family": "EVAE", "prior_width": 10.0}}}
    write_named(tmp_path / "1", "b", of({**VALUES, "own": [3.0, 3.1]}), recipes=width)
    result = found([load(tmp_path / "0"), load(tmp_path / "1")])
    assert result.labels == ("autoencoder",)
    assert said(result, "EVAE of study 1 is left out: posterior.prior_width is 10.0 against the reference's None")
    assert said(result, "in study 0 the reference's.") and said(result, "In one study only: own.")


def test_what_all_of_a_study_have_in_common_may_differ(tmp_path: Path) -> None:
    write_named(tmp_path / "0", "a", of(VALUES))
    longer = {label: {"optimisation": {"epochs": 50}} for label in VALUES}
    write_named(tmp_path / "1", "b", of(VALUES), recipes=longer)
    write_named(tmp_path / "2", "c", of(VALUES))
    result = found([load(tmp_path / name) for name in "012"])
    assert result.labels == ("EVAE", "autoencoder")
    assert said(result, "The studies also differ in optimisation.epochs (5 in study 0 and study 2, 50 in study 1).")


def test_stores_without_recipes_agree_by_their_parameters(tmp_path: Path) -> None:
    studies = write(tmp_path, "a", "b")
    store = Store(tmp_path / "1")
    for row in store.read("trials").to_pylist():
        params = {"method": row["label"], "beta": 0.5} if row["label"] == "EVAE" else {"method": row["label"]}
        store.write("trials", row["trial"], [row | {"recipe": None, "params": json.dumps(params)}])
    result = found([studies[0], load(tmp_path / "1")])
    assert result.labels == ("autoencoder",) and said(result, "EVAE of study 1 is left out: beta is 0.5")


def test_a_study_without_the_reference_is_left_out(tmp_path: Path) -> None:
    studies = write(tmp_path, "a", "b")
    write_named(tmp_path / "c", "c", of({"EVAE": [1.0, 1.1], "autoencoder": [2.0, 2.1]}))
    result = found([*studies, load(tmp_path / "c")])
    assert set(result.effects["study"]) == {0, 1}
    assert said(result, "study 2 is left out: it has no VAE")


def test_an_effect_without_replicates_is_shown_and_not_combined(tmp_path: Path) -> None:
    studies = write(tmp_path, "a", "b")
    write_named(tmp_path / "c", "c", of({"VAE": [2.0], "EVAE": [1.0]}))
    result = found([*studies, load(tmp_path / "c")])
    row = result.effects[(result.effects["study"] == 2)].iloc[0]
    assert row["effect"] == pytest.approx(np.log(0.5)) and np.isnan(row["half"]) and not row["enters"]
    assert result.combined["n"].tolist() == [2, 2]
    assert said(result, "study 2 has effects without replicates") and said(result, "12.7 standard errors")


@pytest.mark.parametrize(("one", "two"), [("a", "a"), ("mnist", "mnist-5k")])
def test_the_same_data_twice_are_no_two_data_sets(tmp_path: Path, one: str, two: str) -> None:
    result = found(write(tmp_path, one, two))
    assert result.effects.groupby("study")["enters"].all().tolist() == [True, False]
    assert result.combined["effect"].isna().all() and not result.combined["differs"].any()
    assert said(result, "study 0 and study 1 are of the same images") and said(result, "nothing is combined")


def test_the_same_images_under_another_name_are_known_by_their_digest(tmp_path: Path) -> None:
    result = found(write(tmp_path, "folder:here", "folder:there", digest="f00d"))
    assert said(result, "are of the same images") and result.combined["n"].tolist() == [1, 1]


def test_data_that_are_not_recorded_are_not_taken_for_others(tmp_path: Path) -> None:
    studies = write(tmp_path, "a", "b")
    write_named(tmp_path / "c", None, of(VALUES))
    result = found([*studies, load(tmp_path / "c")])
    assert result.combined["n"].tolist() == [2, 2] and len(result.effects) == 6
    assert said(result, "Of which data study 2 had is not recorded")


def test_metrics_of_one_scale_are_subtracted_and_those_near_zero_divided_by_their_usual_size(tmp_path: Path) -> None:
    psnr, kernel = Objective("rec_psnr_db", "max"), Objective("gen_kd_some_net", "min")
    values = {
        "VAE": {"rec_psnr_db": [20.0, 20.2], "gen_kd_some_net": [0.3, 0.5]},
        "EVAE": {"rec_psnr_db": [23.0, 23.2], "gen_kd_some_net": [-0.3, -0.5]},
    }
    for name, size in (("a", 1.0), ("b", 100.0)):
        scaled = {k: v | {"gen_kd_some_net": [size * x for x in v["gen_kd_some_net"]]} for k, v in values.items()}
        write_named(tmp_path / name, name, scaled, ("rec_psnr_db", "gen_kd_some_net"))
    result = found([load(tmp_path / name) for name in "ab"], None, psnr, kernel)
    assert [result.scales[o] for o in (psnr, kernel)] == ["difference", "share"]
    assert result.effects["effect"].tolist() == pytest.approx([3.0, 3.0, -2.0, -2.0])


def test_a_mean_that_may_be_zero_makes_no_ratio(tmp_path: Path) -> None:
    write_named(tmp_path / "0", "a", of(VALUES))
    write_named(tmp_path / "1", "b", of(VALUES | {"VAE": [0.1, 4.0]}))
    assert found([load(tmp_path / "0"), load(tmp_path / "1")]).scales[OBJECTIVE] == "share"


def test_values_that_do_not_compare_have_no_effect(tmp_path: Path) -> None:
    studies = write(tmp_path, "a", "b", "c")
    store = Store(tmp_path / "2")
    for row in store.read("trials").to_pylist():
        identity = {"features": "some-net", "n_real": 500 + int(row["seed"])}
        store.write("trials", row["trial"], [row | {"distances": json.dumps({DISTANCE: identity})}])
    result = found([*studies[:2], load(tmp_path / "2")])
    assert set(result.effects["study"]) == {0, 1}
    assert said(result, "study 2 took its generation Fréchet distance in more than one way")


def test_a_bound_is_no_rate(tmp_path: Path) -> None:
    rate = Objective("rate_nats", "min")
    for name in "ab":
        write_named(tmp_path / name, name, of(VALUES, metric="rate_nats"), ("rate_nats",))
    store = Store(tmp_path / "b")
    for row in store.read("trials").to_pylist():
        store.write("trials", row["trial"], [row | {"rate_is": "bound" if row["label"] == "EVAE" else "exact"}])
    result = found([load(tmp_path / name) for name in "ab"], None, rate)
    assert result.effects.groupby("label")["study"].apply(list).to_dict() == {"EVAE": [0], "autoencoder": [0, 1]}


def test_a_study_that_runs_counts_with_what_it_has(tmp_path: Path) -> None:
    result = found(write(tmp_path, "a", "b", state="running"))
    assert said(result, "study 0 was still running.") and len(result.effects) == 4


def test_constant_values_are_no_different(tmp_path: Path) -> None:
    for name in "abc":
        write_named(tmp_path / name, name, of({"VAE": [2.0, 2.0], "EVAE": [2.0, 2.0], "zero": [0.0, 0.0]}))
    result = found([load(tmp_path / name) for name in "abc"])
    assert not result.combined.set_index("label").loc["EVAE", "differs"] and np.isfinite(result.effects["half"]).all()


def test_nothing_in_common_is_said(tmp_path: Path) -> None:
    write_named(tmp_path / "0", "a", of({"VAE": [2.0, 2.1], "EVAE": [1.0, 1.1]}))
    write_named(tmp_path / "1", "b", of({"VAE": [2.0, 2.1], "other": [1.0, 1.1]}))
    result = found([load(tmp_path / "0"), load(tmp_path / "1")])
    assert result.labels == () and not len(result.effects) and not len(result.combined)
    assert said(result, "No two studies have two named configurations in common")
