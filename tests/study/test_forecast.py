"""What a study will cost: the arithmetic, and that a dry run writes nothing."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tiny import Strided, adversarial_recipe, tiny_images, tiny_recipe

from evae.cluster.demand import Demand
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.gaussian import Gaussian
from evae.study import forecast, in_small
from evae.study.in_small import Measured
from evae.study.room import Room
from evae.study.run import run_study
from studies.kernel_sweep import KernelSweep

CPU = Demand(gpus=0.0, cpus=1, trials_at_once=1)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_trials_times_seconds_are_hours_disk_and_memory(monkeypatch, threads):
    costs = {"gaussian": Measured(10.0, 20.0, 4.0, 12.0), "autoencoder": Measured(30.0, 40.0, 8.0, 24.0)}
    monkeypatch.setattr(forecast, "measure", lambda recipe, *_: costs[recipe.posterior.family])
    recipes = [tiny_recipe(Gaussian()), tiny_recipe(Gaussian(beta=0.1)), tiny_recipe(Autoencoder())]
    text = forecast.forecast(CPU, recipes, tiny_images(), trials=40, keep="weights")
    # 3 epochs of 20 s and 30 s of evaluation: 90 s, forty times, and 6 MB of weights beside 0.3 of tables.
    assert "about 40 trials x (epochs: 3 x 20 s + evaluation: 30 s), measured on cpu: 1.5 minutes each" in text
    assert "about 60 minutes with 1 at a time" in text and "; 1 core-hours" in text
    assert "about 252 MB of results" in text
    without = forecast.forecast(CPU, recipes, tiny_images(), trials=40, keep="none")
    assert "about 12 MB of results" in without
    states = forecast.forecast(CPU, recipes, tiny_images(), trials=40, keep="states")
    assert "about 972 MB of results (720 MB of it states of trainings)" in states
    beside = forecast.forecast(CPU, recipes, tiny_images(), trials=20, keep="weights", measured=20)
    assert "about 20 trials x " in beside and "each; and 20 to be measured from kept weights\n" in beside
    assert "about 40 minutes with 1 at a time" in beside and "about 252 MB of results" in beside
    of_two = forecast.forecast(Demand(gpus=0.0, cpus=2, trials_at_once=1), recipes, tiny_images(), 40, "none")
    assert "; 2 core-hours" in of_two


def test_lanes_share_a_core_and_what_they_gain(monkeypatch, threads):
    monkeypatch.setattr(forecast, "measure", lambda *_: Measured(10.0, 20.0, 4.0, 12.0))
    monkeypatch.setattr(forecast, "find_room", lambda *_: Room(3, 1.5, "3 lanes"))
    demand = Demand(gpus=0.0, cpus=10**6, lanes=3)
    text = forecast.forecast(demand, [tiny_recipe(Gaussian())], tiny_images(), trials=40, keep="none")
    # Of 50 s each, three at a time, at half of the speed: 14 times 100 s.
    assert "about 23 minutes with 3 at a time" in text and "\n3 lanes\n" in text


def test_seconds_are_those_of_all_images(monkeypatch):
    """Of twenty batches of ten images what is timed counts for all, and so do 500 held-out images."""

    def one_second(work, _):
        work()
        return 1.0

    monkeypatch.setattr(in_small, "_seconds", one_second)
    recipe = tiny_recipe(Gaussian())
    few = in_small.measure(recipe, tiny_images(train=24), torch.device("cpu"))
    many = in_small.measure(recipe, tiny_images(train=600, test=1000), torch.device("cpu"))
    assert (few.epoch_s, few.evaluate_s) == (2, 1) and (many.epoch_s, many.evaluate_s) == (4, 2)
    assert few.weights_mb == many.weights_mb > 0


def test_an_epoch_is_timed_at_both_sizes_and_with_a_discriminator_that_comes_later(monkeypatch):
    timed = []

    def seconds_by_size(work, _):
        row = work()
        timed.append(row)
        return 1.0 if isinstance(row, dict) and row.get("train_image_size") == 16 else 4.0

    monkeypatch.setattr(in_small, "_seconds", seconds_by_size)
    recipe = replace(adversarial_recipe(Gaussian(), start_epoch=3), network=Strided())
    recipe = replace(recipe, optimisation=replace(recipe.optimisation, half_size_epochs=2))
    found = in_small.measure(recipe, tiny_images(), torch.device("cpu"))
    # Two epochs of a second, one of four, and four for the validation of each.
    assert found.epoch_s == pytest.approx((2 * 1 + 4) / 3 + 4)
    assert all("train_adversarial" in row for row in timed[:2])


def test_a_dry_run_says_it_and_writes_nothing(tmp_path: Path, threads):
    small = {"train_images": 60, "validation_images": 20, "test_images": 20, "epochs": 1, "latent": 3, "size": "tiny"}
    options = KernelSweep(**small, results=str(tmp_path / "r"), features="efficientnet-lite0-b2", dry_run=True)
    console = Console(record=True, width=200)
    run_study("Which?", options, console, b"text")
    said = console.export_text()
    assert re.search(r"dry run: about \d+ trials x \(epochs: 1 x [\d.e-]+ s", said) and "nothing written" in said
    assert not (tmp_path / "r").exists()


def test_a_dry_run_of_points_needs_no_features(tmp_path: Path, threads):
    options = KernelSweep(data="points:arc", latent=2, epochs=1, size="tiny", results=str(tmp_path / "r"), dry_run=True)
    console = Console(record=True, width=200)
    run_study("Which?", options, console, b"text")
    assert "dry run" in console.export_text() and not (tmp_path / "r").exists()
