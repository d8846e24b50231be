"""What version 0.1.0 at commit 48004dd left behind still opens, and what it trained still comes out the same.

`store` is a small study of that version (`python studies/kernel_sweep.py` with the command in its manifest), with the
pictures and weights of one trial; `training.json` holds the losses of tiny trainings, and `interrupted.safetensors` is
the checkpoint of one of them after its second epoch.
"""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from rich.console import Console
from tiny import tiny_images

from analysis.report import write_report
from evae import data
from evae.checkpoints import load_model, restore_training
from evae.errors import UserError
from evae.metrics.reconstruction import psnr
from evae.recipe import Recipe
from evae.results.store import Store
from evae.search.confirmation import Confirmation
from evae.search.job import Job
from evae.search.journal import Journal
from evae.search.objectives import resolve_objectives
from evae.search.samplers import sampler as samplers
from evae.search.searcher import FINISHED, StudySearcher
from evae.study.manifest import Manifest
from evae.study.run import read_history
from evae.study.upgrading import upgrade
from evae.training import Training
from search_spaces.kernels import SPACE
from studies.kernel_sweep import KernelSweep

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "training.json").read_text())
KEPT = "158017c0a64d-s0"
"""The trial whose pictures and weights are kept."""
OPTIONS = KernelSweep(
    name="of-0.1.0",
    trials=5,
    epochs=3,
    seeds=2,
    confirm=0,
    train_images=60,
    validation_images=20,
    test_images=20,
    size="tiny",
    latent=2,
    batch_size=30,
    early_stopping="median",
    objectives=("gen_fd", "rec_sharpness_gap", "rec_psnr_db"),
    features="efficientnet-lite0-b2",
)


@pytest.fixture(params=["as it was left", "upgraded"])
def store(tmp_path, request) -> Store:
    left = Store(shutil.copytree(HERE / "store", tmp_path / "of-0.1.0"))
    if request.param == "upgraded":
        upgrade(left, Console(quiet=True), apply=True)
    return left


@pytest.fixture(scope="module")
def images() -> data.ImageSet:
    return data.load(OPTIONS.base_recipe().data)


def searcher(store: Store, confirm: int = 0) -> StudySearcher:
    objectives = [(f"val_{m}", d) for m, d in resolve_objectives(OPTIONS.objectives, "efficientnet_lite0_b2")]
    return StudySearcher(
        SPACE,
        OPTIONS.base_recipe(),
        objectives,
        total=5,
        seeds=2,
        sampler_seed=0,
        make_sampler=samplers["tpe"],
        confirmation=Confirmation(confirm, objectives),
        history=read_history(store),
    )


def test_the_same_study_continues_it(store, images):
    base = OPTIONS.base_recipe()
    objectives = resolve_objectives(OPTIONS.objectives, "efficientnet_lite0_b2")
    manifest = Manifest(OPTIONS, "Which?", base, SPACE.describe(base), objectives, images)
    assert "the code is not that of the last session" in " ".join(manifest.check_continues(store, "must"))


def test_it_can_be_extended_by_fresh_seeds(store, images):
    """Its manifest and its rows know nothing of them."""
    given = replace(OPTIONS, confirm=1)
    base = given.base_recipe()
    objectives = resolve_objectives(OPTIONS.objectives, "efficientnet_lite0_b2")
    manifest = Manifest(given, "Which?", base, SPACE.describe(base), objectives, images)
    with pytest.raises(UserError, match="confirm: 0 then, 1 now\nAdd --extend"):
        manifest.check_continues(store)
    manifest.check_continues(store, extend=True)
    search = searcher(store, confirm=1)
    jobs = [search.suggest(f"{i}") for i in range(5)]
    assert {(job.role, job.seed, job.attempt) for job in jobs[:4]} == {("confirm", 1000, 1)}
    assert search.planned == 10 + sum(isinstance(job, Job) for job in jobs)


def test_nothing_of_it_is_trained_again(store):
    search = searcher(store)
    assert search.suggest("more") == FINISHED and len(search.configurations) == 5
    assert all(len(c.ended) == 2 and c.told for c in search.configurations.values())


def test_its_journal_is_taken_up_as_it_is(store):
    with Journal(store, OPTIONS.name, searcher(store)):
        pass
    journal = JournalStorage(JournalFileBackend(store.path("optuna", "journal.log")))
    study = optuna.load_study(study_name=OPTIONS.name, storage=journal)
    assert Counter(t.state.name for t in study.trials) == {"COMPLETE": 5}


def test_it_has_a_report(store, tmp_path):
    page = write_report(store.location, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "EVAE, paper" in page and store.rows("images", KEPT)
    assert "flattered by choice" in page and "fresh seeds, which took no part" not in page


def test_its_weights_reconstruct_as_they_did(store, images):
    model = load_model(store.path("weights", f"{KEPT}.safetensors"))
    x = data.tensor(images.test).float().div(255)
    with torch.no_grad():
        found = float(psnr(model.reconstruct(x), x).mean())
    assert found == pytest.approx(store.rows("trials", KEPT)[0]["rec_psnr_db"], abs=1e-3)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recipe_trains_as_it_did(name):
    """Losses agree to what another order of sums changes."""
    recorded = RECORDED[name]
    recipe = Recipe.from_dict(recorded["recipe"])
    assert recipe.configuration() == recorded["configuration"]
    training = Training(recipe, tiny_images())
    for epoch in recorded["epochs"]:
        assert_same(training.train_epoch(), epoch)


def test_an_interrupted_trial_goes_on_as_it_would_have():
    recorded = RECORDED["adversarial"]
    training = Training(Recipe.from_dict(recorded["recipe"]), tiny_images())
    restore_training(training, (HERE / "interrupted.safetensors").read_bytes())
    assert training.epoch == 2
    assert_same(training.train_epoch(), recorded["epochs"][2])


def assert_same(row: dict[str, float], recorded: dict[str, float]) -> None:
    assert {"train_loss_nats", "train_distortion_nats"} <= row.keys() & recorded.keys()
    for key in row.keys() & recorded.keys():
        assert row[key] == pytest.approx(recorded[key], rel=1e-4, abs=1e-6), key
