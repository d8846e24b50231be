"""A study's best model exported: which one it is, what the folder says, and that it loads without anything else."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_recipe

from evae import export, sample
from evae.checkpoints import dump_model, load_model
from evae.errors import UserError
from evae.models import build_model
from evae.posteriors.gaussian import Gaussian
from evae.pretrained import from_pretrained, open_model
from evae.release import best as choices
from evae.results.rows import opening_row
from evae.results.store import Store
from evae.search.job import CONFIRM, Job

ON = "fd_efficientnet_lite0_b2"
IDENTITY = {"features": "efficientnet-lite0-b2", "digest": "d1", "n_real": 16, "split": "test"}


def weights(recipe) -> bytes:
    model = build_model(recipe.posterior, recipe.network, 32, 1, recipe.latent, seed=recipe.seed)
    return dump_model(model, recipe, 32, 1)


def add(store: Store, beta: float, seed: int, val: float, test: float, *, role: str = "search", keep: bool = True):
    recipe = replace(tiny_recipe(Gaussian(beta=beta)), seed=seed)
    params = {"beta": beta}
    job = Job(recipe.configuration(), int(10 * beta), seed, 1, params, recipe.to_dict(), "searched", None, role=role)
    row = opening_row("tiny", job) | {"state": "finished", "epochs": 3, f"val_rec_{ON}": val, f"rec_{ON}": test}
    row |= {"rec_psnr_db": 10 * beta, "distances": json.dumps({f"rec_{ON}": IDENTITY}), "device": "cpu"}
    store.write("trials", job.trial, [row])
    if keep:
        store.write_bytes("weights", f"{job.trial}.safetensors", weights(recipe))
    return job.trial


@pytest.fixture
def study(tmp_path) -> Store:
    """Two configurations with two seeds each; that of beta 0.2 is better where the search looked, and worse by one
    seed of the test split."""
    store = Store(tmp_path / "tiny")
    store.prepare()
    data = {"source": "mnist-5k", "digest": "abc", "n_train": 24, "n_validation": 12, "n_test": 16, "notes": ["a note"]}
    store.write("study", "20260101", [{"session": "20260101", "study": "tiny", "data": json.dumps(data)}])
    for seed, (val, test) in enumerate([(4.0, 9.0), (3.0, 5.0)]):
        add(store, 0.2, seed, val, test)
    for seed, (val, test) in enumerate([(9.0, 1.0), (1.0, 1.0)]):
        add(store, 0.4, seed, val, test)
    return store


def exported(store: Store, to: Path, **given) -> Path:
    export.main(store.root, to, **({"best": "rec_fd"} | given))
    return to


def test_the_best_is_the_best_mean_of_what_the_search_saw_and_of_it_the_best_seed(study):
    chosen = choices.best(study, "rec_fd")
    assert (chosen.row["seed"], json.loads(chosen.row["params"])) == (1, {"beta": 0.2})
    assert chosen.values[0].column == f"rec_{ON}" and chosen.values[0].own == 5.0 and chosen.values[0].mean == 7.0
    assert chosen.values[0].identity == IDENTITY and 0 < chosen.values[0].half < math.inf
    assert json.loads(choices.best(study, "rec_psnr_db").row["params"]) == {"beta": 0.4}
    assert choices.best(study, f"rec_{ON}").row == chosen.row


def test_fresh_seeds_take_no_part_in_the_choice_and_values_are_theirs(study):
    add(study, 0.2, 1000, 100.0, 11.0, role=CONFIRM)
    chosen = choices.best(study, "rec_fd")
    assert json.loads(chosen.row["params"]) == {"beta": 0.2} and chosen.row["seed"] == 1
    assert chosen.values[0].mean == 11.0 and chosen.values[0].seeds == 1 and chosen.values[0].fresh


def test_the_folder_stands_alone_and_gives_the_same_images(study, tmp_path):
    folder = exported(study, tmp_path / "out" / "digits", licence="mit")
    assert {"model.safetensors", "config.json", "README.md", "samples-prior.png"} == {p.name for p in folder.iterdir()}
    assert not [p for p in folder.parent.iterdir() if p.name.endswith(".part")]
    trial = json.loads((folder / "config.json").read_text())["trial"]
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    before = load_model(f"{study.root}/weights/{trial}.safetensors").reconstruct(x)
    (tmp_path / "tiny").rename(tmp_path / "gone")
    assert torch.equal(from_pretrained(folder).reconstruct(x), before)


def test_the_card_says_data_metrics_identity_intervals_and_licence(study, tmp_path):
    text = (exported(study, tmp_path / "digits", licence="mit") / "README.md").read_text()
    assert text.startswith('---\nlicense: "mit"\n') and "- a note" in text and "samples-prior.png" in text
    assert "24 / 12 / 16 train / validation / test images" in text and '"beta": 0.2' in text
    (line,) = [line for line in text.splitlines() if line.startswith(f"| `rec_{ON}`")]
    assert line.startswith(f"| `rec_{ON}` | lower | 5 | 7 ± ") and line.endswith("(2 seeds) |")
    assert f"- `rec_{ON}`: features efficientnet-lite0-b2, digest d1, n_real 16, split test" in text


def test_a_weights_file_of_a_study_is_exported_with_what_the_study_knows_of_it_and_one_alone_too(study, tmp_path):
    trial = choices.best(study, "rec_fd").row["trial"]
    file = Path(study.root) / "weights" / f"{trial}.safetensors"
    export.main(str(file), tmp_path / "of-study")
    assert "## Metrics" in (tmp_path / "of-study" / "README.md").read_text()
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(file.read_bytes())
    export.main(str(alone), tmp_path / "alone")
    assert "## Metrics" not in (tmp_path / "alone" / "README.md").read_text()
    assert open_model(tmp_path / "alone").digest == open_model(tmp_path / "of-study").digest == open_model(file).digest


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"best": "rec_fid"}, "Did you mean 'rec_fd'"),
        ({"best": None}, "--best METRIC"),
        ({"best": None, "trial": "x"}, "unknown finished trial with weights"),
        ({"trial": "x"}, "give one of them"),
    ],
)
def test_what_names_no_model_is_refused(study, tmp_path, given, says):
    with pytest.raises(UserError, match=says):
        exported(study, tmp_path / "to", **given)
    assert not (tmp_path / "to").exists()


def test_studies_without_what_is_needed_are_refused(study, tmp_path):
    for file in (Path(study.root) / "weights").iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"no weights of theirs.*--keep none"):
        exported(study, tmp_path / "to")
    empty = Store(tmp_path / "empty")
    empty.prepare()
    with pytest.raises(UserError, match="no study in"):
        exported(empty, tmp_path / "to")
    empty.write("study", "s", [{"session": "s"}])
    with pytest.raises(UserError, match="no finished trial yet"):
        exported(empty, tmp_path / "to")


def test_the_best_whose_weights_are_lost_is_named_and_no_other_is_taken_for_it(study, tmp_path):
    gone = choices.best(study, "rec_fd").row["configuration"]
    for file in (Path(study.root) / "weights").glob(f"{gone}*"):
        file.unlink()
    with pytest.raises(UserError, match=r"best configuration in rec_fd, configuration 2, are not there.*--trial"):
        exported(study, tmp_path / "to")


def test_a_folder_that_is_not_empty_is_left_alone(study, tmp_path):
    (tmp_path / "to").mkdir()
    exported(study, tmp_path / "to")
    before = sorted(p.name for p in (tmp_path / "to").iterdir())
    with pytest.raises(UserError, match="not an empty folder"):
        exported(study, tmp_path / "to")
    assert sorted(p.name for p in (tmp_path / "to").iterdir()) == before


def test_weights_that_are_cut_off_are_named_and_nothing_is_written(study, tmp_path):
    trial = choices.best(study, "rec_fd").row["trial"]
    file = Path(study.root) / "weights" / f"{trial}.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=f"{trial}.safetensors is not a checkpoint of evae, or a damaged one"):
        exported(study, tmp_path / "to")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("change", [{"channels": 3}, {"recipe": {}}, []])
def test_a_config_of_another_model_is_refused(study, tmp_path, change):
    folder = exported(study, tmp_path / "to")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change if change else change))
    with pytest.raises(UserError, match="do not belong together"):
        from_pretrained(folder)


@pytest.mark.parametrize(
    ("place", "says"),
    [("absent.safetensors", "cannot read the weights"), ("no where", "there is no"), ("tiny", "is a study: give one")],
)
def test_places_without_a_model_are_refused(study, tmp_path, monkeypatch, place, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        from_pretrained(place)


def test_samples_are_one_picture(study, tmp_path):
    folder = exported(study, tmp_path / "model")
    sample.main(str(folder), tmp_path / "samples.png", n=10, columns=4)
    picture = np.asarray(Image.open(tmp_path / "samples.png"))
    assert picture.shape == (96, 128) and not picture[64:, 64:].any() and picture[:64].any()
    with pytest.raises(UserError, match="no fitted densities"):
        sample.main(str(folder), tmp_path / "samples.png", density="mixture")
    with pytest.raises(UserError, match="at least 1"):
        sample.main(str(folder), tmp_path / "samples.png", n=0)
