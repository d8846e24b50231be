"""The manifest: what was asked, of what, and which study may continue which."""

import importlib.metadata
import json
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from tiny import labelled, tiny_images

import evae
from evae.errors import UserError
from evae.results.store import SCHEMA_VERSION, Store, StoreError
from evae.search.claims import Comparison, Explained, Stated
from evae.search.job import FIRST_FRESH
from evae.study.manifest import Manifest, git_state
from evae.study.options import StudyOptions
from search_spaces.kernels import SPACE

URI = "s3://KEY:s3cr3t@bucket/x?region=eu&token=s3cr3t"
SHOWN = "s3://***@bucket/x?region=eu&token=***"
OBJECTIVES = [("gen_fd_x", "min"), ("rec_sharpness", "max")]

described = cache(SPACE.describe)
"""Drawn from two hundred points, which takes longer than all else in these tests: kept for each base."""


def manifest(images=None, objectives=OBJECTIVES, **options) -> Manifest:
    given = StudyOptions(name="a", **options)
    base = given.base_recipe()
    images = images or tiny_images()
    return Manifest(given, "Which is best?", base, described(base), objectives, images)


@pytest.fixture(autouse=True)
def same_code(monkeypatch):
    """Whoever works on the checkout meanwhile changes nothing of what these tests see of it."""
    state = git_state()
    monkeypatch.setattr("evae.study.manifest.git_state", lambda: state)


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "a")
    made.prepare()
    return made


def test_a_row_says_what_was_asked_of_which_code_on_which_data_and_machine(store):
    made, images = manifest(), tiny_images()
    made.write(store, slots=2)
    row = store.read("study").to_pylist()[0]
    assert row["state"] == "running" and row["ended_at"] is None and row["slots"] == 2
    assert row["question"] == "Which is best?" and row["schema_version"] == SCHEMA_VERSION and row["study"] == "a"
    assert json.loads(row["options"])["latent"] == 64
    assert "bandwidth" in json.loads(row["space"])
    assert json.loads(row["objectives"]) == [list(o) for o in OBJECTIVES]
    data = json.loads(row["data"])
    assert (data["digest"], data["n_train"], data["n_test"]) == (images.digest, 24, 16)
    assert {"ray", "torch", "optuna", "pyarrow"} <= set(json.loads(row["packages"]))
    assert json.loads(row["hardware"])["cores"] >= 1
    assert abs(row["started_at"] - datetime.now(UTC)) < timedelta(minutes=5)


def test_closing_replaces_the_row_and_dates_it(store):
    made = manifest()
    made.write(store, slots=1)
    made.row["slots"] = 1.5
    made.close(store, "finished")
    rows = store.read("study").to_pylist()
    assert [row["state"] for row in rows] == ["finished"]
    lasted = (rows[0]["ended_at"] - rows[0]["started_at"]).total_seconds()
    assert rows[0]["wall_s"] == pytest.approx(lasted, abs=0.1)
    assert rows[0]["slots"] == 1.5


def test_sessions_are_kept_beside_each_other_and_sort_by_time(store):
    first = manifest()
    first.write(store)
    second = manifest()
    second.write(store)
    assert first.row["session"] < second.row["session"]
    assert store.read("study").num_rows == 2


def test_an_empty_folder_can_be_continued_by_any_study(store):
    manifest().check_continues(store)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"sampler": "random"},
        {"sampler_seed": 3},
        {"trials_at_once": 1},
        {"cpus_per_worker": 2},
        {"time_limit": 1.0},
        {"keep": "none"},
        {"claim": ("EVAE, paper < VAE in rec_fd",), "until": "decided", "budget": 2.0},
    ],
    ids=str,
)
def test_what_leaves_the_trials_comparable_continues_a_study(store, changed):
    manifest().write(store)
    manifest(**changed).check_continues(store)


def test_families_in_a_list_leave_it_the_same_study(store):
    given = {"densities": ("mixture", "kde"), "criteria": ("mmd",)}
    manifest(**given).write(store)
    manifest(**given).check_continues(store)
    with pytest.raises(UserError, match=r"recipe\.evaluation\.densities"):
        manifest(**given | {"densities": ("mixture",)}).check_continues(store)


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"latent": 65}, "recipe.latent: 64 then, 65 now"),
        ({"epochs": 3}, "recipe.optimisation.epochs: 50 then, 3 now"),
        ({"seeds": 2}, "seeds: 1 then, 2 now"),
        ({"confirm": 9}, "confirm: 2 then, 9 now"),
        ({"trials": 3}, "trials: 24 then, 3 now"),
        ({"replicates": "race"}, 'replicates: "all" then, "race" now'),
        ({"early_stopping": "halving"}, 'early stopping: "none" then, "halving" now'),
        ({"size": "tiny"}, "recipe.network.width: 1.0 then, 0.25 now"),
        ({"data": "photos"}, 'recipe.data.source: "mnist-5k" then, "photos" now'),
        ({"objectives": [("rec_ssim", "max")]}, 'objectives: [["gen_fd_x", "min"]'),
        ({"images": tiny_images(train=25)}, "data digest: "),
    ],
    ids=str,
)
def test_another_study_is_refused_with_the_difference_and_the_remedy(store, changed, difference):
    manifest().write(store)
    with pytest.raises(UserError) as caught:
        manifest(**changed).check_continues(store)
    text = str(caught.value)
    assert difference in text and store.location in text and "--name" in text
    assert text.count(" then, ") == 1


def test_another_space_is_refused_with_the_parameter(store):
    manifest().write(store)
    other = manifest()
    space = SPACE.describe(StudyOptions().base_recipe())
    space["bandwidth"]["high"] = 3.0
    other = Manifest(StudyOptions(name="a"), "?", StudyOptions().base_recipe(), space, OBJECTIVES, tiny_images())
    with pytest.raises(UserError, match=r"space\.bandwidth\.high: 2\.0 then, 3\.0 now"):
        other.check_continues(store)


def test_the_last_session_decides(store):
    manifest(latent=3).write(store)
    manifest(latent=4).write(store)
    manifest(latent=4).check_continues(store)
    with pytest.raises(UserError, match=r"recipe\.latent: 4 then, 3 now"):
        manifest(latent=3).check_continues(store)


def test_the_commit_is_that_of_the_code():
    commit, dirty = git_state()
    if (Path(__file__).parents[2] / ".git").exists():
        assert len(commit) == 40 and isinstance(dirty, bool)
    else:
        assert commit is None and dirty is None


def test_a_study_of_its_own_may_have_options_of_its_own(store):
    @dataclass(frozen=True, kw_only=True)
    class Own(StudyOptions):
        name: str = "a"
        width: float = 2.5

    base = Own().base_recipe()
    made = Manifest(Own(), "?", base, {}, OBJECTIVES, tiny_images())
    assert json.loads(made.row["options"])["width"] == 2.5


@pytest.mark.parametrize("more", [{"trials": 99}, {"epochs": 51}, {"seeds": 2}, {"trials": 25, "confirm": 9}], ids=str)
def test_more_is_refused_without_a_word_and_welcome_with_it(store, more):
    manifest().write(store)
    with pytest.raises(UserError, match="Add --extend if more is wanted"):
        manifest(**more).check_continues(store)
    assert manifest(**more).check_continues(store, extend=True) == []


def test_fewer_fresh_seeds_are_welcome_with_a_word_too(store):
    """For want of time: a study that had to become another one for it would lose what its claims rest on."""
    manifest().write(store)
    with pytest.raises(UserError, match="confirm: 2 then, 1 now\nAdd --extend if this is wanted"):
        manifest(confirm=1).check_continues(store)
    assert manifest(confirm=1).check_continues(store, extend=True) == []


QUESTIONS = [
    {"objectives": [("rec_ssim", "max")]},
    {"features": "efficientnet-lite0-b2", "densities": ("mixture", "kde")},
    {"replicates": "race", "early_stopping": "halving", "trials": 99},
    {"constraint": ("parameters <= 8e6",)},
]


@pytest.mark.parametrize("other", QUESTIONS, ids=str)
def test_other_questions_are_welcome_with_a_word_and_said(store, other):
    manifest().write(store)
    with pytest.raises(UserError, match="Add --extend to go on with it under these questions"):
        manifest(**other).check_continues(store)
    (said,) = manifest(**other).check_continues(store, extend=True)
    assert said.startswith("the study goes on under other questions: ")


def test_a_share_that_was_claimed_of_another_space_is_named(store):
    first = manifest()
    first.state_claims(store, [SHARE, COMPARISON], [])
    first.write(store)
    options = StudyOptions(name="a")
    base = options.base_recipe()
    space = SPACE.describe(base) | {"bandwidth": {"low": 0.01, "high": 3.0, "log": True}}
    other = Manifest(options, "?", base, space, OBJECTIVES, tiny_images())
    _, late = other.check_continues(store, extend=True)
    assert SHARE.text in late and "another space" in late


@pytest.mark.parametrize("other", [{"trials": 23}, {"epochs": 49}, {"latent": 65, "trials": 99}], ids=str)
def test_extending_is_no_excuse_for_less_or_for_something_else(store, other):
    manifest().write(store)
    with pytest.raises(UserError, match="then"):
        manifest(**other).check_continues(store, extend=True)


def test_resume_must_and_never(store):
    with pytest.raises(UserError, match="no study to continue"):
        manifest().check_continues(store, resume="must")
    assert manifest().check_continues(store, resume="never") == []
    manifest().write(store)
    assert manifest().check_continues(store, resume="must") == []
    with pytest.raises(UserError, match=r"holds a study already, begun 20\d\d-\d\d-\d\d \d\d:\d\d UTC.*--name"):
        manifest().check_continues(store, resume="never")


def test_a_copy_under_another_name_is_named(store):
    manifest().write(store)
    (file,) = (Path(store.root) / "study").iterdir()
    (file.parent / f"copy of {file.name}").write_bytes(file.read_bytes())
    with pytest.raises(UserError, match=rf"study/copy of {file.name} \(it is not the session of its name"):
        manifest().check_continues(store)


@pytest.mark.parametrize("given", [["--results", URI], [f"--results={URI}"]], ids=len)
def test_keys_and_tokens_are_not_written_down(store, monkeypatch, given):
    monkeypatch.setattr(sys, "argv", ["studies/kernel_sweep.py", *given, "--data", "folder:caf\udce9"])
    made = manifest(results=URI)
    made.write(store)
    (row,) = store.rows("study")
    assert "s3cr3t" not in repr(row)
    assert json.loads(row["options"])["results"] == SHOWN and SHOWN in row["command"]
    assert "folder:caf\\udce9" in row["command"]


def test_a_checkout_that_is_not_installed_has_a_manifest(monkeypatch):
    def version(name: str) -> str:
        if name != "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    packages = json.loads(manifest().row["packages"])
    assert packages["evae"] == evae.__version__ and packages["torch"] == "2.0" and packages["ray"] is None


def test_other_code_is_said_and_recorded(store):
    first = manifest()
    first.write(store, git_commit="0123456789abcdef", git_dirty=False)
    second = manifest()
    (note,) = second.check_continues(store)
    assert "commit 0123456789 then" in note and "now; both are recorded" in note
    second.write(store)
    assert store.read("study").column("git_commit").to_pylist()[0] == "0123456789abcdef"


def test_a_clock_that_was_set_back_does_not_disorder_the_sessions(store):
    future = manifest()
    future.row["session"] = "29990101T000000000000Z"
    future.write(store)
    second, third = manifest(), manifest(latent=65)
    second.check_continues(store)
    second.write(store, state="stopped")
    assert second.row["session"] == "29990101T000000000001Z"
    with pytest.raises(UserError, match="latent"):
        third.check_continues(store)
    second.close(store, "finished")
    assert 0 <= second.row["wall_s"] < 3600


def test_other_labels_are_another_study_where_accuracies_are_measured(store):
    """The images' digest knows nothing of labels, and no training depends on them."""
    two, three = (labelled(tiny_images(), classes) for classes in (2, 3))
    assert two.digest == three.digest and two.labels.digest != three.labels.digest
    manifest(two, downstream=(9,)).write(store)
    with pytest.raises(UserError, match="labels digest"):
        manifest(three, downstream=(9,)).check_continues(store)
    manifest(two, downstream=(9,)).check_continues(store)
    manifest(two).write(store)
    manifest(three).check_continues(store)


COMPARISON = Comparison("VAE < auto in rec_fd", "VAE", "autoencoder", True, 1.0, "rec_fd_x", "min")
SHARE = Explained("kernel explains < 0.1 of gen_fd", "kernel", True, 0.1, "gen_fd_x", "min")


def trial(seed: int, role: str | None = "search", state: str = "finished", number: int = 0) -> dict:
    return {"seed": seed, "role": role, "state": state, "number": number}


def test_claims_of_all_sessions_stay_and_those_that_come_later_are_marked(store):
    first = manifest()
    assert [claim.trials for claim in first.state_claims(store, [COMPARISON], [])] == [0]
    first.write(store)
    second = manifest()
    history = [trial(0), trial(0, number=3), trial(7, None)]
    history += [trial(1000, "confirm"), trial(1001, "confirm", "cancelled")]
    kept, late = second.state_claims(store, [SHARE, replace(COMPARISON, text="other words")], history)
    assert kept == Stated(COMPARISON, first.row["session"], 0, FIRST_FRESH, 0)
    assert late == Stated(SHARE, second.row["session"], 4, FIRST_FRESH + 2, 4)
    second.write(store)
    # Nobody repeats them, and they are there.
    assert manifest().state_claims(store, [], history) == [kept, late]
    with pytest.raises(UserError, match="contradict"):
        manifest().state_claims(store, [replace(COMPARISON, less=False)], history)


def test_a_store_of_an_earlier_version_has_no_claims_and_damaged_ones_are_not_taken_for_none(store):
    made = manifest()
    made.row.pop("claims")
    made.write(store)
    assert manifest().state_claims(store, [], []) == []
    for damaged in ("[", "[1]", '[{"claim": {}}]', "3"):
        made.row["claims"] = damaged
        made.write(store)
        with pytest.raises(StoreError, match="its claims cannot be told"):
            manifest().state_claims(store, [], [])
