"""What a user gives that cannot be done: exit status 2 and a sentence, before anything is trained or Ray is started."""

import fcntl
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from evae.data import load
from evae.data.base import SOURCES, DataRecipe
from evae.metrics.features import load_features
from evae.results.rows import opening_row
from evae.results.store import Store
from evae.search.feasible import check_possible
from evae.search.job import Job
from evae.search.objectives import resolve_objectives
from evae.study.manifest import Manifest
from studies import (
    beta_sweep,
    discriminator_sweep,
    kernel_sweep,
    mapa,
    mog_sweep,
    poisson_sweep,
    reproduce_evae,
    training_sweep,
    two_stage,
)
from studies.cli import GridOptions, main

STUDIES = {
    kernel_sweep: kernel_sweep.KernelSweep,
    mog_sweep: mog_sweep.MogSweep,
    beta_sweep: beta_sweep.BetaSweep,
    discriminator_sweep: discriminator_sweep.DiscriminatorSweep,
    training_sweep: training_sweep.TrainingSweep,
    reproduce_evae: reproduce_evae.ReproduceEvae,
    poisson_sweep: poisson_sweep.PoissonSweep,
    two_stage: two_stage.TwoStage,
    mapa: mapa.MapaStudy,
}


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """The digits of all these studies, which are parsed from text."""
    entry = SOURCES.entries["mnist-5k"]
    raw = entry.value.read(DataRecipe(), Path())
    with pytest.MonkeyPatch.context() as patch:
        once = replace(entry, value=replace(entry.value, read=lambda recipe, root: raw))
        patch.setitem(SOURCES.entries, "mnist-5k", once)
        yield


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Runs the study's command in this process; returns what it says as it refuses."""

    def run(*arguments: str, results: str | None = None, study: ModuleType = kernel_sweep) -> str:
        results = str(tmp_path / "results") if results is None else results
        few = ["--train-images", "60", "--validation-images", "20", "--test-images", "20", "--trials", "1"]
        # A grid trains all of its points.
        few = few[:-2] if issubclass(STUDIES[study], GridOptions) else few
        monkeypatch.setattr(sys, "argv", [f"{study.__name__}.py", "--results", results, *few, *arguments])
        with pytest.raises(SystemExit) as ended:
            main(STUDIES[study], study)
        said = capsys.readouterr()
        assert ended.value.code == 2
        assert "Traceback" not in said.err + said.out
        assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()
        return " ".join((said.err + said.out).split())

    return run


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--data", "mnits"], "Did you mean 'mnist'?"),
        (["--data", "fashon-mnist"], "Did you mean 'fashion-mnist'?"),
        (["--sampler", "nsga"], "Did you mean 'nsga2'?"),
        (["--claim", "EVAEE, paper < EVAE in rec_fd"], "Did you mean 'EVAE, paper (B = 0.1)'?"),
        (
            ["--claim", "VAE < autoencoder in rec_fd", "--trials", "2"],
            "Known: EVAE, paper (B = 0.1), VAE, best autoencoder",
        ),
        (
            ["--claim=EVAE > best method gau in rec_fd", "--claim=EVAE < best method gau in rec_fd"],
            "contradict each other",
        ),
        (["--size", "larg"], "Did you mean 'large'?"),
        (["--precision", "bf61"], "Did you mean 'bf16'?"),
        (["--features", "efficientnet-lite0-b5"], "Did you mean 'efficientnet-lite0-b"),
        (["--objectives", "gen_fid", "rec_sharpness"], "Did you mean 'gen_fd'?"),
        (["--fit", "padd"], "Did you mean 'pad'?"),
        (["--latnet", "3"], "--latent"),
        (["--trails", "3"], "--trials"),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else "",
)
def test_a_mistyped_name_is_answered_with_the_nearest(refused, arguments, answer):
    assert answer in refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--latent", "0"], "latent size must be at least 1"),
        (["--latent", "three"], "three"),
        (["--batch-size", "2", "--workers-per-trial", "3"], "a batch of 2 cannot be shared by 3 processes"),
        (["--learning-rate", "-1"], "learning_rate must be above 0"),
        (["--learning-rate", "nan"], "learning_rate must be above 0"),
        (["--epochs", "0"], "epochs must be above 0"),
        (["--trials", "0"], "--trials must be above 0"),
        (["--name", "a/b"], "name of a folder"),
        (["--validation-images", "5000"], "validation_images"),
        (["--validation-images", "1"], "at least 2 are needed; raise --validation-images"),
        (["--validation-images", "1"], "What is known of them: test: 50 digits a class"),
        (["--test-images", "1"], "at least 2 are needed; raise --test-images"),
        (["--image-size", "4"], "image_size must be at least 8"),
        (["--channels", "2"], "channels must be 1"),
        (["--objectives", "gen_fd", "gen_fd"], "each once"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_value_that_cannot_be_is_refused(refused, arguments, answer):
    assert answer in refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--image-size", "264"], "16 to 256 px a side"),
        (["--image-size", "50", "--network", "lite_vae"], "Use image_size 48 or 56"),
        (["--network", "lite_vae", "--size", "tinny"], "Did you mean 'tiny'?"),
        (["--network", "conv", "--size", "M"], "size of conv 'M'"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_size_that_the_networks_lack_is_refused_before_training(refused, arguments, answer):
    assert answer in refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--mixture-sizes", "0"], "mixture_size must be at least 2, got 0"),
        (["--mixture-sizes", "1", "20"], "mixture_size must be at least 2, got 1"),
        (["--mixture-sizes", "61"], "mixture_size is 61, but there are only 60 training images: give at most as many"),
        (["--batch-size", "1"], "mixture_size must be at least 2, got 1"),
        (["--batch-size", "2", "--workers-per-trial", "3"], "a batch of 2 cannot be shared by 3 processes"),
        (["--image-size", "32", "64", "--network", "cells"], "the cells networks take square images, not 32 x 64 px"),
        (
            ["--image-size", "102", "--network", "resnet_v2"],
            "multiples of 4 pixels, from 8 on, not of 102. Use image_size 100 or 104",
        ),
        (["--network", "resnet_v3"], "Did you mean 'resnet_v2'?"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_mixture_that_cannot_be_is_refused(refused, arguments, answer):
    assert answer in refused("--mixture-sizes", "20", "--batch-size", "10", *arguments, study=mog_sweep)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--starts", "1", "4"], "the discriminator starts in epoch 4, but the training ends after 3"),
        (["--starts", "0"], "start_epoch must be at least 1"),
        (["--weights", "1e10"], "weight must be above 0 and at most 1e+09"),
        (["--weights", "0"], "weight must be above 0"),
        (["--losses", "hing"], "Did you mean 'hinge'?"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_discriminator_that_cannot_be_is_refused(refused, arguments, answer):
    assert answer in refused("--epochs", "3", "--starts", "1", *arguments, study=discriminator_sweep)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--families", "gausian"], "Did you mean 'gaussian'?"),
        (["--betas", "0"], "--betas must be above 0"),
        (["--trials", "3"], "--trials"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_point_that_the_grid_of_betas_cannot_have_is_refused(refused, arguments, answer):
    assert answer in refused(*arguments, study=beta_sweep)


@pytest.mark.parametrize(
    ("arguments", "study", "answer"),
    [
        (["--objectives", "elbo_nats", "gen_fd"], kernel_sweep, "elbo_nats is not known with the evae posterior"),
        (
            ["--families", "evae", "--objectives", "rate_nats"],
            beta_sweep,
            "rate_nats is not known with the evae posterior. Choose other --objectives",
        ),
    ],
    ids=lambda given: given[-1] if isinstance(given, list) else "",
)
def test_an_objective_that_nothing_of_the_study_can_have_is_refused(refused, arguments, study, answer):
    assert answer in refused(*arguments, study=study)


def test_a_sharpness_gap_to_pictures_without_sharpness_is_refused(refused, tmp_path):
    for grey in range(120):
        Image.new("L", (32, 32), 2 * grey).save(tmp_path / f"{grey}.png")
    assert "images have no sharpness" in refused("--data", f"folder:{tmp_path}")


def test_a_single_training_image_is_refused(refused):
    text = refused("--train-images", "1")
    assert "only 1 train image(s)" in text and "--train-images" in text


def test_results_below_a_regular_file_are_refused(refused, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot write results" in refused(results=f"{tmp_path}/file/results")


def test_an_unknown_kind_of_results_uri_is_refused(refused):
    assert "s3://bucket/path" in refused(results="s4://bucket/results")


def test_missing_data_without_the_web_say_what_to_do(refused, tmp_path, monkeypatch):
    for scheme in ("http", "https", "all"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")  # the port "discard", where nobody listens
    answer = refused("--data", "cifar10", "--data-root", str(tmp_path / "data"))
    assert "cifar" in answer.lower() and str(tmp_path / "data") in answer


@pytest.mark.parametrize("folder", ["nowhere", "empty", "[/bold]"])
def test_a_folder_without_pictures_is_named(refused, tmp_path, folder):
    if folder != "nowhere":
        (tmp_path / folder.strip("/")).mkdir(parents=True)
    assert folder in refused("--data", f"folder:{tmp_path}/{folder}")


def test_a_second_driver_is_refused_while_the_first_lives(refused, tmp_path):
    folder = tmp_path / "results" / "kernel-sweep"
    folder.mkdir(parents=True)
    with open(folder / ".lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"process {os.getpid()} on this machine\n")
        lock.flush()
        answer = refused()
    assert "is in use by process" in answer and str(os.getpid()) in answer and "--name" in answer


@pytest.mark.parametrize(
    ("results", "answer"),
    [
        ("", "is empty"),
        ("s3:///studies", "names no bucket"),
        ("s3://KEY:s3/cr3t@bucket", "is not escaped: write / as %2F"),
        ("s4://KEY:s3cr3t@bucket", "s4://***@bucket"),
        ("~nobody-of-that-name/x", "no home folder"),
    ],
)
def test_a_place_that_nobody_means_is_refused_without_its_secrets(refused, results, answer):
    said = refused(results=results)
    assert answer in said and "cr3t" not in said


ENDED = "0123456789ab-s0"


@pytest.fixture
def begun(tmp_path) -> Store:
    """What a study of the options of `refused` has left: its manifest, a trial that ended and one that can go on."""
    few = {"train_images": 60, "validation_images": 20, "test_images": 20, "trials": 1}
    options = kernel_sweep.KernelSweep(results=str(tmp_path / "results"), early_stopping="halving", **few)
    store, base = Store(options.location), options.base_recipe()
    store.prepare()
    objectives = resolve_objectives(options.objectives, load_features(options.features).column)
    Manifest(options, "?", base, options.space.describe(base), objectives, load(base.data)).write(store)
    params = options.space.controls[0].params
    recipe = options.space.recipe(params, base).to_dict()
    for seed, state in enumerate(("finished", "cancelled")):
        job = Job("0123456789ab", 0, seed, 1, params, recipe, "control", None)
        store.write("trials", job.trial, [opening_row(options.name, job) | {"state": state}])
        store.write("epochs", job.trial, [{"trial": job.trial, "seed": seed, "epoch": 1}])
        store.write_bytes("checkpoints", f"{job.trial}.safetensors", b"")
    return store


@pytest.mark.parametrize(
    ("file", "damage", "remedy"),
    [
        (f"trials/{ENDED}.parquet", "cut off", "in the other folders, to train that trial anew"),
        (f"trials/{ENDED}.parquet", "empty", "in the other folders, to train that trial anew"),
        (f"trials/{ENDED}.parquet", "no JSON", "in the other folders, to train that trial anew"),
        (f"epochs/{ENDED}.parquet", "cut off", "remove it to go on without that trial's curve"),
        ("checkpoints/0123456789ab-s1.safetensors", "empty", "remove it to train that trial from its beginning"),
    ],
)
def test_what_a_study_has_left_and_cannot_be_read_is_named_and_kept(refused, begun, file, remedy, damage):
    path = Path(begun.root) / file
    if damage == "no JSON":
        begun.write("trials", ENDED, [{"trial": ENDED, "params": "{", "recipe": None}])
    else:
        path.write_bytes(path.read_bytes()[:-9] if damage == "cut off" else b"")
    before = path.read_bytes()
    said = refused("--early-stopping", "halving")
    assert file in said and "Restore it from a copy" in said and remedy in said
    assert path.read_bytes() == before and len(begun.sizes("study")) == 1


@pytest.mark.parametrize(("lost", "more"), [([ENDED], ""), ([ENDED, "0123456789ab-s1"], " (and 1 more such files)")])
def test_what_is_left_of_a_trial_whose_row_is_gone_is_not_trained_over(refused, begun, lost, more):
    for trial in lost:
        (Path(begun.root) / "trials" / f"{trial}.parquet").unlink()
    said = refused("--early-stopping", "halving")
    assert f"holds epochs/{ENDED}.parquet{more}, but nothing in trials/ of that trial. Restore trials/" in said


def test_a_refusal_leaves_no_session_behind(refused, tmp_path):
    refused("--latent", "0")
    assert not list((tmp_path / "results").rglob("*.parquet"))


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.__name__)
def test_the_command_line_explains_itself(monkeypatch, capsys, study):
    monkeypatch.setattr(sys, "argv", [f"{study.__name__}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        main(STUDIES[study], study)
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert ended.value.code == 0
    hidden = ("trials", "sampler", "sampler_seed") if issubclass(STUDIES[study], GridOptions) else ()
    for option in STUDIES[study].__dataclass_fields__:
        if option == "latent" and study is reproduce_evae:
            continue
        shown = re.search(rf"--{option.replace('_', '-')}[ ,]", text) is not None
        assert shown == (option not in hidden), option
    question = study.__doc__.splitlines()[0]
    assert question.endswith("?") and question in text
    for words in ("The optimiser's learning rate", "two cores", f"python studies/{study.__name__[8:]}.py"):
        assert words.lower() in text.lower()


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.__name__)
def test_the_defaults_of_a_study_can_be_done(study):
    given = STUDIES[study]()
    recipes = given.space.recipes(given.base_recipe())
    assert len(recipes) >= given.total
    assert check_possible(given.objectives, recipes) == []
    assert all(r.data == DataRecipe(source=given.data, image_size=given.image_size) for r in recipes)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--data", "mnist-5k"], "mnist-5k is images: give --data points:arc"),
        (["--data", "points:arc", "--train-images", "9"], "there are 9: give at least 10, or take inference amortised"),
        (["--data", "points:arc", "--latent", "2"], "which have one latent, not 2: leave --latent at 1"),
        (["--data", "points:arc", "--workers-per-trial", "2"], "trains in one process: give workers_per_trial 1"),
    ],
)
def test_what_weights_over_training_points_cannot_do_is_said(refused, arguments, answer):
    assert answer in refused(*arguments, study=mapa)
