"""A study with plug-ins, as a user runs it: searched beside ours, told to a callback, and continued. One of them kills
the first process that is made for trials, which imports it before it has a trial."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from running import ROOT, Study

from analysis.report import write_report
from evae import plugins
from evae.checkpoints import load_model
from evae.errors import UserError
from evae.registry import forget, registered_by
from studies import kernel_sweep
from studies.cli import main

EXAMPLES = ROOT / "examples"
FOLLOWER = """
import os, signal
from pathlib import Path
from evae.callbacks import Callback, callback

HERE = Path({folder!r})
driver, killed = HERE / "driver", HERE / "killed"
if not driver.exists():
    driver.write_text(str(os.getpid()))
elif driver.read_text() != str(os.getpid()) and not killed.exists():
    killed.write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGKILL)

@callback
class Diary(Callback):
    def note(self, *words):
        with open(HERE / "diary.txt", "a") as file:
            print(*words, file=file)

    def study_start(self, study):
        self.note("study_start", study["state"])

    def trial_start(self, trial):
        self.note("trial_start", trial["trial"])

    def epoch(self, trial, epoch):
        self.note("epoch", trial["trial"], epoch["epoch"])

    def trial_end(self, trial):
        self.note("trial_end", trial["trial"], trial["state"])
        raise RuntimeError("no more")
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[Study, str, Path]:
    folder = tmp_path_factory.mktemp("plugin")
    mine, diary = folder / "mine.py", folder / "diary.py"
    shutil.copy(EXAMPLES / "student_t.py", mine)
    diary.write_text(FOLLOWER.format(folder=str(folder)))
    # Two of the option: an installed module would do as well.
    made = Study(folder, trials=8, trials_at_once=1, plugin=f"{mine} --plugin {diary}", track="tensorboard")
    status, said = made.run()
    assert status == 0, said
    return made, said, folder


def test_it_is_searched_beside_ours_and_its_digest_is_kept(study):
    made, _, _ = study
    rows = made.rows()
    assert {row["state"] for row in rows} == {"finished"} and len(rows) == 8
    mine = [json.loads(row["recipe"]) for row in rows if row["method"] == "student-t"]
    (manifest,) = made.rows("study")
    digests = json.loads(manifest["identity"])["plug-ins"]
    assert mine and all(recipe["plugins"] == {"mine.py": digests["mine.py"]} for recipe in mine)
    assert all("plugins" not in json.loads(row["recipe"]) for row in rows if row["method"] != "student-t")


def test_a_process_that_dies_before_it_has_a_trial_costs_none(study):
    made, said, folder = study
    killed, slots = (folder / "killed").read_text(), {row["slot"].rpartition(":")[2] for row in made.rows()}
    assert killed not in slots and len(slots) == 1 and "Traceback" not in said
    first = min(made.rows(), key=lambda row: row["started_at"])
    assert re.findall(r"(\S+) starts again: its process died \(killed, or", said) == [first["trial"]]
    assert {row["attempt"] for row in made.rows()} == {1} and not any(row["restarts"] for row in made.rows())


def test_a_callback_is_told_and_its_failure_costs_nothing(study):
    _, said, folder = study
    lines = (folder / "diary.txt").read_text().splitlines()
    assert lines[0] == "study_start running"
    first = lines[1].split()[1]
    assert lines[1] == f"trial_start {first}" and f"epoch {first} 1" in lines
    assert lines[-1].startswith("trial_end") and lines[-1].endswith("finished")
    assert "the callback Diary failed in trial_end (RuntimeError: no more" in said


def test_a_tracker_has_a_run_of_every_trial_and_is_told_of_each_once(study):
    made, said, folder = study
    trials = set(made.states())
    boards = {place.name for place in (folder / "kernel-sweep" / "tensorboard").iterdir() if place.is_dir()}
    assert (
        boards == trials and {name.partition("@")[0] for name in made.store.sizes("tracked", ".tensorboard")} == trials
    )
    assert "tensorboard" not in said.replace("--track tensorboard", "")


@pytest.fixture
def here(study, monkeypatch, capsys):
    """Runs the study's command in this process, which needs no Ray for it; returns what it says."""

    def run(expected: int, **changes: str) -> str:
        monkeypatch.setattr(sys, "argv", study[0].command(**changes)[1:])
        status = 0
        try:
            main(kernel_sweep.KernelSweep, kernel_sweep)
        except SystemExit as end:
            status = end.code
        said = "".join(capsys.readouterr())
        assert status == expected, said
        return said

    yield run
    for name in list(plugins.LOADED):
        forget(registered_by(name))
        del plugins.LOADED[name]


def test_another_version_is_refused_with_the_difference_and_goes_on_when_told(study, here):
    mine = study[2] / "mine.py"
    mine.write_text(mine.read_text() + "\n# another version\n")
    said = here(2)
    assert "plug-ins.mine.py" in said and "--accept-changed-plugins" in said
    # What would be trained is told, and is nothing.
    assert "dry run: nothing is to be trained or measured" in here(0, accept_changed_plugins="", dry_run="")


def test_its_results_open_without_it_and_a_model_names_what_it_lacks(study, tmp_path):
    made, _, _ = study
    write_report(made.store.location, tmp_path / "report.html")
    trial = next(row["trial"] for row in made.rows() if row["method"] == "student-t")
    with pytest.raises(UserError, match=r"made with the plug-in mine\.py, which is not loaded"):
        load_model(made.store.path("weights", f"{trial}.safetensors"))
