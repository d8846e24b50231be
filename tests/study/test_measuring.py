"""A small study measured again: what is asked, what is refused, and what is then there."""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from safetensors.torch import load_file, save_file

from analysis.report import write_report
from evae import data
from evae.checkpoints import dump_training
from evae.cluster.machine import Slots
from evae.cluster.measurer import Again, Measured, Measurer, MeasureSetting, require_same
from evae.cluster.setting import Setting
from evae.cluster.trainable import EpochTrainable
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.metrics.features import load_features
from evae.metrics.reference import references
from evae.networks.conv import Conv
from evae.plugins import LOADED
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.registry import forget, registered_by
from evae.results import measures
from evae.results.lock import sole_driver
from evae.results.store import Store
from evae.search.job import Job
from evae.study import measuring
from evae.study.asked import Asked, MeasureOptions
from evae.study.manifest import Manifest
from evae.study.options import StudyOptions
from evae.training import Training

OWN = "efficientnet-lite0-b2"
OPTIONS = StudyOptions(
    name="again",
    train_images=60,
    validation_images=20,
    test_images=20,
    latent=3,
    epochs=1,
    batch_size=30,
    features=OWN,
    objectives=("gen_fd", "rec_psnr_db"),
    densities=(),
)
BASE = replace(OPTIONS.base_recipe(), network=Conv(width=0.1))
RECIPES = [replace(BASE, posterior=posterior) for posterior in (Gaussian(), Autoencoder())]


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return data.load(BASE.data)


@pytest.fixture(scope="module")
def setting(images) -> dict[str, Any]:
    splits = {split: getattr(images, split) for split in ("validation", "test")}
    known = {OWN: references(splits, images.train, load_features(OWN))}
    return {"images": images, "references": known, "cpus": 1, "gpus": 0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, images, setting) -> Path:
    """A finished study of two trials."""
    store = Store(tmp_path_factory.mktemp("results") / "again")
    store.prepare()
    manifest = Manifest(OPTIONS, "Which?", BASE, {}, OPTIONS.resolved_objectives(), images)
    manifest.write(store, state="finished", slots=1.0)
    of = Setting(study="again", store=store, keep="weights", **setting | {"references": setting["references"][OWN]})

    class Local(EpochTrainable):
        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config, of)

    for number, recipe in enumerate(RECIPES):
        params = {"method": recipe.posterior.family}
        job = Job(recipe.configuration(), number, recipe.seed, 1, params, recipe.to_dict(), "searched", None)
        assert Local({"job": job}).train()["state"] == "finished"
    return Path(store.root)


@pytest.fixture
def store(trained, tmp_path) -> Store:
    return Store(shutil.copytree(trained, tmp_path / "again"))


def measure(store: Store, **asked: Any) -> tuple[bool, str]:
    console = Console(file=io.StringIO(), width=500)
    fine = measuring.measure(MeasureOptions(results=store.root, **asked), console)
    return fine, console.file.getvalue()


def again(store: Store, recipe: Recipe = RECIPES[0], **asked: Any) -> Again:
    (row,) = store.rows("trials", f"{recipe.configuration()}-s0")
    parts = Asked(**asked).parts(recipe, {OWN: "d"}, "l")
    return Again(row, tuple((replace(recipe, evaluation=p.evaluation).to_dict(), tuple(p.columns)) for p in parts))


def measurer(store: Store, setting: dict[str, Any]) -> Measurer:
    return Measurer(MeasureSetting(store=store, **setting))


def test_weights_give_what_the_study_measured_and_what_it_did_not(store, setting):
    """Two of the columns are in the row, by which the others can be trusted."""
    names = ("gen_fd", "rec_ssim", "knn_accuracy_9")
    for recipe in RECIPES:
        wanted = again(store, recipe, metrics=names, downstream=(20, 2000), densities=("gaussian",), iw_samples=2)
        found = measurer(store, setting).measure(wanted)
        assert isinstance(found, Measured), found
        for name in ("gen_fd_efficientnet_lite0_b2", "val_rec_ssim"):
            assert found.metrics[name] == pytest.approx(wanted.row[name], rel=1e-4)
        assert {name for _, columns in wanted.parts for name in columns if "xpd_" in name} <= found.metrics.keys()
        there = {name.removeprefix("val_") for name in found.metrics}
        assert {"knn_accuracy_9", "knn_accuracy_20", "linear_accuracy_20", "xpd_gaussian_sharpness"} <= there
        assert "xpd_gaussian_fd_efficientnet_lite0_b2" in found.distances and "val_knn_accuracy_20" in found.distances
        assert "knn_accuracy_2000" not in there and "rec_psnr_db" not in there
        assert ("nll_nats" in there) == (recipe is RECIPES[0])
        assert found.distances.get("nll_nats", {"samples": 2})["samples"] == 2


def perturbed(path: Path) -> None:
    """The weights of a decoder that was trained a little otherwise."""
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    save_file({n: v * 1.1 if "decoder" in n and v.ndim > 1 else v for n, v in load_file(path).items()}, path, header)


def test_weights_of_another_training_are_not_measured(store, setting, images):
    """Another recipe's, another version's, changed ones, an interrupted trial's, and none."""
    one, other = (again(store, recipe, downstream=(9,)) for recipe in RECIPES)
    place = Path(store.path("weights", f"{one.trial}.safetensors"))
    own = place.read_bytes()
    made = measurer(store, setting)
    perturbed(place)
    assert "its weights give" in made.measure(one) and "they are of another training" in made.measure(one)
    shutil.copy(store.path("weights", f"{other.trial}.safetensors"), place)
    assert made.measure(one) == "these weights belong to another recipe"
    place.write_bytes(dump_training(Training(RECIPES[0], images)))
    assert "not the weights of a finished model" in made.measure(one)
    place.write_bytes(own.replace(b"evae-1", b"evae-9"))
    assert "written by another version" in made.measure(one)
    place.write_bytes(own[:1000])
    assert "not a checkpoint of evae, or a damaged one" in made.measure(one)
    place.unlink()
    assert made.measure(one) == "its weights are gone"
    place.write_bytes(own)
    assert isinstance(made.measure(one), Measured)


def test_a_value_that_is_off_by_more_than_rounding_is_no_repetition():
    require_same({"rec_psnr_db": 15.0, "val_rec_ssim": None}, {"rec_psnr_db": 15.01})
    for stored in ({"rec_psnr_db": 15.0}, {"rec_psnr_db": 15.1, "rec_ssim": 0.5}):
        with pytest.raises(UserError, match="give"):
            require_same(stored, {"rec_psnr_db": 15.1, "rec_ssim": 0.502})
    with pytest.raises(UserError, match="could be checked"):
        require_same({"rec_psnr_db": None}, {"rec_psnr_db": 15.1})


@pytest.fixture
def no_ray(monkeypatch) -> Iterator[None]:
    """What is refused is refused before."""
    monkeypatch.setattr(measuring, "_run", lambda *given: pytest.fail("something would be measured"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "say what is to be measured: --features"),
        ({"features": "inceptoin"}, "Did you mean 'inception'"),
        ({"densities": ("mixtur",)}, "Did you mean 'mixture'"),
        ({"densities": ("mixture", "mixture")}, "given twice"),
        ({"metrics": ("gen_precison",)}, "Did you mean 'gen_precision'"),
        ({"metrics": ("gen_fid",)}, "give --features inception instead"),
        ({"metrics": ("nll_nats",)}, "give --iw-samples 100 instead"),
        ({"downstream": (0,)}, "numbers of labels"),
        ({"iw_samples": -1}, "iw_samples must be at least 0"),
        ({"metrics": ("knn_accuracy_61",)}, "has 60 training images with a label"),
        ({"metrics": ("gen_precision",), "data": "photos"}, r"photos are not those of the study.*Name the place"),
        ({"metrics": ("gen_precision",), "data": "folder:/nowhere"}, "is not a folder"),
        ({"metrics": ("gen_precision",), "plugin": ("nowhere.py",)}, r"'nowhere.py' cannot be read"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_remedy(store, no_ray, asked, said):
    with pytest.raises(UserError, match=said):
        measure(store, **asked)


def test_results_that_cannot_be_measured_are_refused_with_the_remedy(store, tmp_path, no_ray):
    asked = {"downstream": (9,)}
    with pytest.raises(UserError, match="no study in"):
        measure(Store(tmp_path / "nothing"), **asked)
    with sole_driver(store), pytest.raises(UserError, match=r"is in use by process.*Wait until that ends"):
        measure(store, **asked)
    for path in sorted((kept := Path(store.path("weights"))).iterdir()):
        shutil.copy(path, path.with_suffix(".kept"))
        path.write_bytes(path.read_bytes().replace(b"evae-1", b"evae-9"))
    with pytest.raises(
        UserError, match=r"weights of .* cannot be used: .* written by another version\); .* written by"
    ):
        measure(store, **asked)
    for path in kept.glob("*.kept"):
        path.rename(path.with_suffix(".safetensors"))
    Path(store.path("weights", f"{again(store, **asked).trial}.safetensors")).unlink()
    assert "1 finished trials with weights (1 have none), of which 0 lack" in measure(store, metrics=("gen_fd",))[1]
    shutil.rmtree(store.path("weights"))
    with pytest.raises(UserError, match=r"2 finished trials and no weights.*--keep none"):
        measure(store, **asked)
    shutil.rmtree(store.path("trials"))
    with pytest.raises(UserError, match="no finished trial yet"):
        measure(store, **asked)


def test_what_is_there_is_not_measured_again_and_of_another_identity_not_at_all(store, no_ray):
    row = again(store, downstream=(9,)).row
    said = "again: 2 finished trials with weights, of which 0 lack what is asked\n"
    assert measure(store, metrics=("gen_fd", "rec_ssim", "distortion_nats"), features=OWN) == (True, said)
    identity = {"gen_fd_efficientnet_lite0_b4": {"digest": "of other weights"}}
    measures.add(store, row, asked=[*identity], metrics=dict.fromkeys(identity, 1.0), distances=identity, device="cpu")
    with pytest.raises(
        UserError, match=r"gen_fd_efficientnet_lite0_b4 of .* with digest of other weights, and would now"
    ):
        measure(store, features="efficientnet-lite0-b4")


@pytest.fixture
def edges() -> Iterator[str]:
    """A plug-in with a metric that the study did not know."""
    yield str(Path(__file__).parents[2] / "examples" / "edges.py")
    forget(registered_by("edges.py"))
    LOADED.pop("edges.py", None)


@pytest.mark.slow
def test_what_was_measured_before_ctrl_c_is_kept_and_the_same_call_goes_on(store, monkeypatch):
    class Impatient(Console):
        def print(self, *said: Any, **options: Any) -> None:
            super().print(*said, **options)
            if str(said[0]).startswith("measured 1/2"):
                raise KeyboardInterrupt

    monkeypatch.setattr(Slots, "now", lambda self: 1)
    monkeypatch.setattr(measuring, "LINE_EVERY_S", -1.0)
    options = MeasureOptions(results=store.root, downstream=(20,))
    with pytest.raises(KeyboardInterrupt):
        measuring.measure(options, Impatient(file=io.StringIO(), width=500))
    (kept,) = store.rows("measures")
    fine, said = measure(store, downstream=(20,))
    assert fine and "of which 1 lack" in said and "measured 1/1" in said
    assert kept in store.rows("measures") and len(store.rows("measures")) == 2


def test_measured_through_ray_and_shown_by_the_report(store, setting, monkeypatch, edges):
    """By one actor, one trial after the other; one has other weights than its row tells of."""
    monkeypatch.setattr(Slots, "now", lambda self: 1)
    first = again(store, downstream=(20,))
    other = again(store, RECIPES[1], downstream=(20,)).trial
    perturbed(Path(store.path("weights", f"{other}.safetensors")))
    before = {path: path.read_bytes() for path in Path(store.path("trials")).iterdir()}
    asked = {"features": "efficientnet-lite0-b4", "metrics": ("gen_precision", "rec_edges"), "downstream": (20,)}
    fine, said = measure(store, **asked, plugin=(edges,))
    assert "again: 2 finished trials with weights, of which 2 lack" in said and "measured 1/2" in said
    assert not fine and f"{other} was not measured: its weights give rec_psnr_db" in said
    assert {path: path.read_bytes() for path in Path(store.path("trials")).iterdir()} == before
    table = store.read("trials").to_pandas()
    names = ["rec_fd_efficientnet_lite0_b4", "val_gen_kd_efficientnet_lite0_b4", "rec_edges", "val_knn_accuracy_20"]
    wanted = table.set_index("trial")[names].notna()
    assert wanted.loc[first.trial].all() and not wanted.loc[other, names[:2]].any() and len(wanted) == 2
    alone = measurer(store, setting).measure(first)
    mine = table.set_index("trial").loc[first.trial]
    assert mine["val_knn_accuracy_20"] == alone.metrics["val_knn_accuracy_20"]
    of = json.loads(mine["distances"])
    assert of["rec_fd_efficientnet_lite0_b4"]["features"] == "efficientnet-lite0-b4"
    assert of["gen_fd_efficientnet_lite0_b2"]["features"] == OWN and of["knn_accuracy_20"]["n_labels"] == 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "_run", lambda jobs, *rest: {job.trial: "asked" for job in jobs})
        assert f"{other} was not measured: asked" in measure(store, downstream=(20,))[1]
        assert first.trial not in measure(store, downstream=(20,))[1]
    page = write_report(store, Path(store.root) / "report.html").read_text(encoding="utf-8")
    assert "gen_fd_efficientnet_lite0_b4" in page and "5-nearest-neighbour accuracy, 20 labels" in page
