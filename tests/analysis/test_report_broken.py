"""What a study can look like on a bad day; each gives a page that says so."""

import json
import math
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from synthetic import BEGAN, CONTROLS, DISTANCE, SHARPNESS, write_manifest, write_study, write_trial

from analysis.page.page import trial_columns
from analysis.report import write_report
from analysis.study.load import load
from evae.errors import UserError
from evae.results.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.prepare()
    return store


def text_of(store: Store) -> str:
    """The page's visible text, without tags and scripts, and the cells of the table of trials, which a script fills."""
    page = write_report(store.location).read_text(encoding="utf-8")
    body = page[page.index("<body>") : page.index("<script")]
    data = page[page.index('id="data">') + len('id="data">') :]
    rows = json.loads(data[: data.index("</script>")])["rows"]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)) + " ".join(str(cell) for row in rows for cell in row)


def add(store: Store, number: int, state: str, seed: int = 0) -> str:
    """One more trial of a control; its name."""
    label, origin, params = CONTROLS[number]
    before = set(store.sizes("trials"))
    write_trial(store, np.random.default_rng(number), number, label, origin, params, seed, state, BEGAN, 0)
    (trial,) = set(store.sizes("trials")) - before
    return trial


def change(store: Store, **values: object) -> None:
    """Overwrite columns of every trial; a column set to `...` is dropped."""
    for row in store.read("trials").to_pylist():
        row |= values
        store.write("trials", row["trial"], [{k: v for k, v in row.items() if v is not ...}])


def test_no_trial(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=5), state="running")
    assert "No trial has been recorded yet" in text_of(store)


def test_one_trial(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    add(store, 1, "finished")
    text = text_of(store)
    assert "1 of 1 ranked configuration is on the front" in text
    assert "one seed, so there are no intervals" in text


def test_only_failures(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9), state="failed")
    add(store, 0, "diverged")
    add(store, 1, "failed")
    text = text_of(store)
    assert "no trial has finished" in text
    assert "the study failed before its end" in text
    assert "distortion was not finite in epoch 3" in text and "CUDA out of memory" in text


def test_missing_columns(store: Store) -> None:
    store.write("study", "s", [{"session": "s", "study": "bare", "state": "finished"}])
    store.write("trials", "a-s0", [{"trial": "a-s0", "configuration": "a", "state": "finished"}])
    text = text_of(store)
    assert "recorded no objectives" in text and "a-s0" in text


def test_timestamps_as_text_in_one_file_cost_the_others_nothing(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    for number in range(4):
        add(store, number, "finished")
    *texts, whole = store.rows("trials")
    for row, form in zip(texts, ["{0}", "{0:%Y-%m-%dT%H:%M:%SZ}", "some day"], strict=True):
        store.write("trials", row["trial"], [row | {"started_at": form.format(row["started_at"])}])
    read = load(store).trials.set_index("trial")["started_at"]
    for row in (*texts[:2], whole):
        assert abs(read[row["trial"]] - row["started_at"]) < timedelta(seconds=1)
    assert read.index[read.isna()].tolist() == [texts[2]["trial"]]


def test_keys_that_an_earlier_version_kept_are_not_shown(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    add(store, 0, "finished")
    uri = "s3://KEY:s3cr3t@bucket/x?region=eu&token=s3cr3t"
    (row,) = store.rows("study")
    options = json.dumps(json.loads(row["options"]) | {"results": uri})
    store.write(
        "study", row["session"], [row | {"command": f"python x.py --results '{uri}' --seeds 2", "options": options}]
    )
    manifest = load(store).manifest
    hidden = "s3://***@bucket/x?region=eu&token=***"
    assert manifest["options"]["results"] == hidden
    assert manifest["command"] == f"python x.py --results '{hidden}' --seeds 2"
    change(store, reason=f"cannot write results to '{uri}'", traceback=f"OSError: {uri}")
    assert "s3cr3t" not in write_report(store).read_text(encoding="utf-8")


def test_missing_metric(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    add(store, 0, "finished")
    change(store, **{SHARPNESS: ..., f"val_{SHARPNESS}": ...})
    assert "none of the 1 finished trial has a finite" in text_of(store)


def test_no_validation_metrics(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    add(store, 0, "finished")
    change(store, **{f"val_{DISTANCE}": ..., f"val_{SHARPNESS}": ...})
    assert "look better than they are" in text_of(store)


def test_values_that_are_not_finite(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    for number, value in enumerate([math.nan, math.inf, -math.inf, None]):
        trial = add(store, number, "finished")
        (row,) = store.rows("trials", trial)
        store.write("trials", trial, [row | {DISTANCE: value, f"val_{DISTANCE}": value}])
    assert "none of the 4 finished trials has a finite" in text_of(store)


@pytest.mark.parametrize("kinds", [["study"], ["trials", "epochs", "images"]], ids="-".join)
def test_truncated_files(store: Store, kinds: list[str]) -> None:
    """Each of another trial, and one trial is whole."""
    write_manifest(store, BEGAN + timedelta(seconds=9))
    trials = [add(store, number, "finished") for number in range(4)]
    names = ["20260302T090000Z"] if kinds == ["study"] else [trials[0], *trials[2:]]
    for kind, name in zip(kinds, names, strict=True):
        path = Path(store.location) / kind / f"{name}.parquet"
        path.write_bytes(path.read_bytes()[:200])
    text = text_of(store)
    for kind, name in zip(kinds, names, strict=True):
        assert (f"{kind}/{name}.parquet could not be read and was left out" in text) == (kind != "images")
    assert ("manifest is missing" in text) == (kinds == ["study"])
    assert "VAE" in text


def test_interrupted_trial_keeps_its_epochs(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9), state="stopped")
    trial = add(store, 0, "running")
    change(store, ended_at=None, train_s=None, wall_s=None)
    study = load(store.location)
    assert list(study.trials["state"]) == ["interrupted"]
    text = text_of(store)
    assert "1 interrupted" in text and "stopped before its end" in text and trial in text


def test_running_trial_of_a_running_study(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9), state="running")
    add(store, 0, "running")
    assert list(load(store.location).trials["state"]) == ["running"]
    assert "still running, or was killed" in text_of(store)


@pytest.mark.parametrize(
    "objectives", [[[DISTANCE, "min"]], [[DISTANCE, "min"], [SHARPNESS, "max"], ["rec_ssim", "max"]]]
)
def test_other_numbers_of_objectives(store: Store, objectives: list[list[str]]) -> None:
    write_study(Path(store.location), configurations=6)
    row = store.read("study").to_pylist()[0] | {"objectives": json.dumps(objectives)}
    store.write("study", row["session"], [row])
    assert len(re.findall("Against the (?:other )?controls", text_of(store))) == len(objectives)


def test_text_of_others_cannot_become_markup(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    add(store, 0, "finished")
    change(store, label="</script><script>alert(1)</script>")
    page = write_report(store.location).read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page


def test_older_schema(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    add(store, 0, "finished")
    row = store.read("study").to_pylist()[0] | {"schema_version": 0}
    store.write("study", row["session"], [row])
    assert "schema version 0, this report reads versions 1 and 2" in text_of(store)


def test_distances_taken_in_two_ways_are_not_compared_in_silence(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    add(store, 0, "finished")
    add(store, 1, "finished")
    row = store.read("trials").to_pylist()[0]
    other = {metric: of | {"n_generated": 100} for metric, of in json.loads(row["distances"]).items()}
    store.write("trials", row["trial"], [row | {"distances": json.dumps(other)}])
    assert f"{DISTANCE}: taken in 2 ways that differ in n_generated: do not compare" in text_of(store)


def test_states_that_came_later(store: Store) -> None:
    """Those that were stopped are most, and did not fail."""
    write_manifest(store, BEGAN + timedelta(seconds=9))
    add(store, 0, "finished")
    states = ["stopped", "stopped", "out of memory", "a state of tomorrow"]
    for i, state in enumerate(states):
        trial = add(store, 1 + i % 2, "finished", seed=i)
        (row,) = store.rows("trials", trial)
        why = "a place too far behind" if state == "stopped" else "as it happened"
        store.write("trials", trial, [row | {"state": state, "reason": why, "epochs": 2, "restarts": 3}])
    text = text_of(store)
    assert all(f"{states.count(state)} {state}" in text for state in states)
    assert "Most frequent reason for not finishing: as it happened (1 time)." in text


def test_lanes_are_shown_where_trials_shared_a_process(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    add(store, 0, "finished")
    for lanes, shown in ((..., []), (1.0, []), (16, ["lanes"])):
        change(store, lanes=lanes)
        assert [key for key, *_ in trial_columns(load(store.location)) if key == "lanes"] == shown


def test_how_steps_were_run_is_shown_where_some_were_captured(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    add(store, 0, "finished")
    for stepped, shown in ((..., []), ("as it comes", []), ("captured", ["stepped"])):
        change(store, stepped=stepped)
        assert [key for key, *_ in trial_columns(load(store.location)) if key == "stepped"] == shown


def test_unreadable_pictures(store: Store) -> None:
    write_manifest(store, BEGAN + timedelta(seconds=9))
    trial = add(store, 0, "finished")
    rows = store.rows("images", trial)
    store.write("images", trial, [row | {"png": b"not a picture"} for row in rows])
    assert "No pictures were recorded" in text_of(store)


@pytest.mark.parametrize("place", ["empty", "absent"])
def test_a_folder_without_a_study_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no study in .* expected Parquet files"):
        load(tmp_path / place)


def test_command_line_names_the_remedy(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "analysis" / "report.py"
    ran = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, cwd=script.parents[1])
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: no study in") and "Traceback" not in ran.stderr


def test_a_path_whose_bytes_are_no_text_is_shown_with_escapes(tmp_path):
    """Python hands such bytes over as surrogates; JSON in Parquet keeps them so, and no file in UTF-8 can hold them."""
    store = write_study(tmp_path, configurations=4, seeds=1)
    (row,) = store.read("study").to_pylist()
    source = os.fsdecode(b"folder:caf\xe9")
    options = json.dumps(json.loads(row["options"]) | {"data": source})
    store.write("study", row["session"], [row | {"options": options}])
    assert r"folder:caf\udce9" in write_report(tmp_path).read_text(encoding="utf-8")
