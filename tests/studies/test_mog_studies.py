"""The studies of mixtures, discriminators and betas with real Ray: what they leave, and that a lost trial ends none."""

import json

import pytest
from running import Study

pytestmark = pytest.mark.slow


def test_the_mixtures_study_trains_its_controls_and_what_it_draws(tmp_path):
    study = Study(tmp_path, "mog_sweep", trials=7, epochs=2, mixture_sizes="10 120", batch_size=40)
    status, said = study.run()
    assert status == 0 and "7 of 7 trials: 7 finished" in said and (tmp_path / "mog-sweep" / "report.html").exists()
    rows = {row["label"]: row for row in study.rows()}
    recipes = {label: json.loads(row["recipe"]) for label, row in rows.items()}
    assert recipes["VAE (standard KL)"]["posterior"]["family"] == "gaussian"
    assert recipes["MoG-VAE, official constants"]["latent"] == 512 and recipes["MoG-VAE"]["latent"] == 4
    by_trial = {row["trial"]: row for row in study.rows("epochs")}
    judged = {label for label, row in rows.items() if by_trial[row["trial"]].get("train_disc_accuracy") is not None}
    assert judged >= {"MoG-VAE", "MoG-VAE, official constants", "MoG-VAE, moment-matched"}
    assert judged.isdisjoint({"MoG-VAE without discriminator", "VAE (standard KL)"})
    shown = {picture["kind"] for picture in study.rows("images")}
    assert shown == {"real", "reconstructed", "sampled", "interpolated", "perturbed"}


def test_trials_that_diverge_beside_a_heavy_discriminator_are_recorded_and_the_study_goes_on(tmp_path):
    study = Study(
        tmp_path, "discriminator_sweep", trials=None, epochs=3, weights="100 1e9", starts="2", learning_rate=1e6
    )
    status, said = study.run()
    assert status == 0 and "3 of 3 trials: 3 diverged" in said and "report: " in said
    assert "| logistic, weight 1e+09, from epoch 2 | 0 of 1 | diverged: " in said
    for row in study.rows():
        assert row["state"] == "diverged" and "became" in row["reason"]


def test_the_beta_study_ends_with_a_curve_whose_exact_rates_fall_with_beta(tmp_path):
    study = Study(tmp_path, "beta_sweep", trials=None, epochs=8, betas="0.1 30", families="gaussian evae")
    status, said = study.run()
    assert status == 0 and "| gaussian, beta 0.1 | 1 of 1 | " in said
    rows = {row["label"]: row for row in study.rows()}
    assert rows["gaussian, beta 30"]["rate_nats"] < rows["gaussian, beta 0.1"]["rate_nats"]
    assert {label: row["rate_is"] for label, row in rows.items()} == {
        "gaussian, beta 0.1": "exact",
        "gaussian, beta 30": "exact",
        "evae, beta 0.1": "bound",
        "evae, beta 30": "bound",
    }
