"""What a user gives that cannot be done: exit status 2 and a sentence, before anything is trained or Ray is started."""

import fcntl
import os
import sys

import pytest

from evae.data.base import DataRecipe
from evae.tuning.options import StudyOptions
from studies import kernel_sweep
from studies.cli import main


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Runs the study's command in this process; returns what it says as it refuses."""

    def run(*arguments: str, results: str | None = None) -> str:
        results = results or str(tmp_path / "results")
        few = ["--train-images", "60", "--validation-images", "20", "--test-images", "20", "--trials", "1"]
        monkeypatch.setattr(sys, "argv", ["kernel_sweep.py", "--results", results, *few, *arguments])
        with pytest.raises(SystemExit) as ended:
            main(kernel_sweep.KernelSweep, kernel_sweep)
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
        (["--validation-images", "1"], "at least 2; raise --validation-images"),
        (["--test-images", "1"], "at least 2; raise --test-images"),
        (["--image-size", "4"], "image_size must be at least 8"),
        (["--channels", "2"], "channels must be 1"),
        (["--objectives", "gen_fd", "gen_fd"], "each once"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_value_that_cannot_be_is_refused(refused, arguments, answer):
    assert answer in refused(*arguments)


def test_an_image_size_that_the_networks_lack_is_refused_before_training(refused):
    assert "Supported: 32, 64" in refused("--image-size", "48")


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


def test_a_refusal_leaves_no_session_behind(refused, tmp_path):
    refused("--latent", "0")
    assert not list((tmp_path / "results").rglob("*.parquet"))


def test_the_command_line_explains_itself(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kernel_sweep.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        main(kernel_sweep.KernelSweep, kernel_sweep)
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert ended.value.code == 0
    for option in StudyOptions.__dataclass_fields__:
        assert f"--{option.replace('_', '-')}" in text
    for words in ("Which posterior should a VAE have", "Adam's learning rate", "minutes", "number of latent"):
        assert words.lower() in text.lower()


def test_the_defaults_of_the_study_can_be_done():
    assert kernel_sweep.KernelSweep().base_recipe().data == DataRecipe()
