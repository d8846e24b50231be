"""A study as a file: what it says comes out as options, and what is wrong is named by its key."""

import dataclasses
import sys
from pathlib import Path
from types import ModuleType

import pytest

from evae.commands import parse
from evae.errors import UserError
from evae.study.config import parsed, read, written
from evae.study.options import StudyOptions
from search_spaces.kernels import SPACE
from studies import beta_sweep, kernel_sweep
from studies.cli import GridOptions
from studies.configured import configured, name_of, space


def file(tmp_path, text: str) -> str:
    (tmp_path / "study.toml").write_text(text)
    return str(tmp_path / "study.toml")


def given(monkeypatch, study: ModuleType, options: type, *arguments: str) -> StudyOptions:
    monkeypatch.setattr(sys, "argv", ["study", *arguments])
    options, config = configured(options, study)
    return parse(options, "", config.arguments)


TEXT = """
study = "kernel-sweep"
name = "filed"
train-images = 200
validation_images = 50
learning-rate = 1
ema = 0.9
keep = "none"
objectives = ["rec_fd", "rec_psnr_db"]
criteria = []
claim = ["VAE < EVAE, paper in rec_fd"]
"""


def test_options_are_those_of_the_file_and_the_command_line_overrides_them(tmp_path, monkeypatch):
    path = file(tmp_path, TEXT)
    one = given(monkeypatch, kernel_sweep, kernel_sweep.KernelSweep, "--config", path)
    assert (one.name, one.train_images, one.validation_images, one.ema) == ("filed", 200, 50, 0.9)
    assert one.learning_rate == 1.0 and one.keep == "none" and one.objectives == ("rec_fd", "rec_psnr_db")
    assert one.trials == kernel_sweep.KernelSweep.trials and one.config == path
    more = (
        "--train-images",
        "90",
        "--keep",
        "states",
        "--objectives",
        "gen_fd",
        "--claim",
        "VAE < EVAE, paper in gen_fd",
    )
    two = given(monkeypatch, kernel_sweep, kernel_sweep.KernelSweep, f"--config={path}", *more)
    assert (two.train_images, two.keep, two.objectives) == (90, "states", ("gen_fd",))
    assert two.claim == ("VAE < EVAE, paper in rec_fd", "VAE < EVAE, paper in gen_fd")


def test_a_study_without_a_file_is_as_before(monkeypatch):
    one = given(monkeypatch, kernel_sweep, kernel_sweep.KernelSweep)
    assert one == kernel_sweep.KernelSweep()


def test_what_a_study_writes_repeats_it(tmp_path, monkeypatch):
    one = kernel_sweep.KernelSweep(
        name='ü-"quoted"',
        ema=1e-5,
        objectives=("rec_fd", "rec_ssim"),
        image_size=(48, 64),
        claim=("VAE < EVAE, paper in rec_fd",),
        data="folder:caf\udce9",  # a name that is no UTF-8
        cpus_per_worker=2,
        results="elsewhere",
        resume="never",
    )
    path = str(tmp_path / "study.toml")
    Path(path).write_bytes(written(one, "kernel-sweep"))
    two = given(monkeypatch, kernel_sweep, kernel_sweep.KernelSweep, "--config", path)
    assert two == dataclasses.replace(one, results="results", resume="auto", config=path)
    assert written(two, "kernel-sweep") == Path(path).read_bytes()
    assert {"results", "resume", "config"}.isdisjoint(parsed(path))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trails = 3", r"unknown key in .*study.toml: 'trails'. Did you mean 'trials'"),
        ("results-folder = 3", "unknown key"),
        ('config = "other.toml"', "unknown key"),
        ("trials = 2.5", "study.toml: trials must be of type int, got 2.5"),
        ('latent = "8"', "study.toml: latent must be of type int, got '8'"),
        ("trials = true", "study.toml: trials must be of type int, got True"),
        ("epochs = [1]", "study.toml: epochs must be of type int"),
        ('criteria = "mmd"', "study.toml: criteria must be a list"),
        ("objectives = [1]", r"study.toml: objectives\[0\] must be of type str"),
        ("[data]\nname = 3", "study.toml: data must be of type str"),
        ("study = 3", "study.toml: study must be of type str"),
        ("trials 3", "is not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(tmp_path, text, says):
    with pytest.raises(UserError, match=says):
        read(file(tmp_path, text), kernel_sweep.KernelSweep)


def test_a_grid_has_no_options_of_a_search(tmp_path):
    with pytest.raises(UserError, match=r"unknown key in .*'sampler'"):
        read(file(tmp_path, 'sampler = "tpe"'), GridOptions)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*absent.toml: No such file"):
        parsed(str(tmp_path / "absent.toml"))


def test_a_file_of_another_study_is_refused(tmp_path, monkeypatch):
    path = file(tmp_path, 'study = "mog-sweep"')
    with pytest.raises(UserError, match="is of the study mog-sweep, and this is kernel-sweep"):
        given(monkeypatch, kernel_sweep, kernel_sweep.KernelSweep, "--config", path)


def test_a_space_by_name_takes_the_place_of_the_studys(tmp_path, monkeypatch):
    options = next(c for c in vars(beta_sweep).values() if isinstance(c, type) and c.__module__ == beta_sweep.__name__)
    one = given(monkeypatch, beta_sweep, options, "--config", file(tmp_path, 'space = "kernels"'))
    assert one.space is SPACE and one.name == options.name
    assert space("search_spaces.kernels:SPACE") is SPACE


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("kernel", "unknown search space 'kernel'. Did you mean 'kernels'"),
        ("mog", "is none by itself"),
        ("absent.module:SPACE", "cannot be imported"),
        (":SPACE", "cannot be imported"),
        (".kernels:SPACE", "cannot be imported"),
        ("search_spaces.kernels:suggest", "is no search space, but function"),
    ],
)
def test_what_is_no_space_is_refused(name, says):
    with pytest.raises(UserError, match=says):
        space(name)


def test_a_study_of_ones_own_is_named_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = ModuleType("__main__")
    mine.__file__ = str(tmp_path / "below" / "mine.py")
    assert name_of(mine) == "below/mine.py" and name_of(kernel_sweep) == "kernel-sweep"
