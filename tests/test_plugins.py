"""Plug-ins: how they are found and imported, what they register, and what is refused."""

import sys
from pathlib import Path

import pytest
import torch
from tiny import tiny_images, tiny_recipe

from analysis.study import naming
from evae import plugins
from evae.data import DataRecipe, tensor
from evae.data import load as load_data
from evae.errors import UserError
from evae.evaluation import evaluate
from evae.metrics.base import METRICS, metric
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.posteriors import posterior as posteriors
from evae.recipe import Recipe
from evae.registry import forget, registered_by
from evae.search.objectives import resolve_objectives
from evae.testing.families import require, run
from evae.testing.metrics import CHECKS as METRIC_CHECKS
from evae.training import Training

EXAMPLES = Path(__file__).parents[1] / "examples"
TAKEN = """
from evae.posteriors import Gaussian, posterior

@posterior
class Again(Gaussian):
    family = "gaussian"
"""
ANOTHER = """
from evae.posteriors import Gaussian, posterior

@posterior
class Another(Gaussian):
    family = "another"
"""


@pytest.fixture(autouse=True)
def forgotten():
    """What a test has loaded is gone after it: other tests count our families."""
    yield
    for name in list(plugins.LOADED):
        forget(registered_by(name))
        del plugins.LOADED[name]


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_file_registers_a_family_that_is_named_with_its_digest(tmp_path):
    path = written(tmp_path, ANOTHER)
    (plugin,) = plugins.load([path])
    recipe = Recipe(posterior=posteriors["another"](beta=2.0))
    plain = recipe.to_dict()
    assert plain["plugins"] == {"mine.py": plugin.digest} and recipe.plugins == {"mine.py"}
    assert Recipe.from_dict(plain) == recipe
    assert "plugins" not in Recipe().to_dict()


def test_another_version_takes_its_place_and_names_another_configuration(tmp_path):
    plugins.load([written(tmp_path, ANOTHER)])
    before = Recipe(posterior=posteriors["another"]())
    first, named = before.to_dict(), before.configuration()
    plugins.load([written(tmp_path, ANOTHER + "\n# a change\n")])
    assert Recipe(posterior=posteriors["another"]()).configuration() != named
    (told,) = plugins.changed(first["plugins"])
    assert told.startswith("mine.py is ") and first["plugins"]["mine.py"] in told


def test_a_recipe_whose_plugin_is_not_loaded_names_it(tmp_path):
    plugins.load([written(tmp_path, ANOTHER)])
    plain = Recipe(posterior=posteriors["another"]()).to_dict()
    forget(registered_by("mine.py"))
    del plugins.LOADED["mine.py"]
    with pytest.raises(UserError, match=r"plug-in mine\.py, which is not loaded: name it with --plugin"):
        Recipe.from_dict(plain)


def test_a_file_travels_as_text(tmp_path):
    """As into an actor on another machine, where there is no such file."""
    plugin = plugins.find(written(tmp_path, ANOTHER))
    Path(plugin.path).unlink()
    plugins.load([plugin])
    assert "another" in posteriors


def test_a_module_is_loaded_by_its_name_and_by_that_of_its_entry_point(tmp_path, monkeypatch):
    package = tmp_path / "lab_vae"
    package.mkdir()
    written(package, "", "__init__.py")
    written(package, ANOTHER, "posteriors.py")
    info = tmp_path / "lab_vae-1.dist-info"
    info.mkdir()
    written(info, "Metadata-Version: 2.1\nName: lab_vae\nVersion: 1\n", "METADATA")
    written(info, "[evae.plugins]\nlab = lab_vae.posteriors\n", "entry_points.txt")
    monkeypatch.syspath_prepend(tmp_path)
    (by_point,) = plugins.load(["lab"])
    assert "another" in posteriors and plugins.find("lab_vae.posteriors") == by_point
    with pytest.raises(UserError, match=r"Installed ones: .*lab"):
        plugins.find("lab_vea")
    for name in [n for n in sys.modules if n.startswith("lab_vae")]:
        monkeypatch.delitem(sys.modules, name)


def test_a_module_that_differs_from_the_drivers_is_refused(tmp_path, monkeypatch):
    written(tmp_path, ANOTHER, "lab_one.py")
    monkeypatch.syspath_prepend(tmp_path)
    plugin = plugins.find("lab_one")
    written(tmp_path, ANOTHER + "# changed", "lab_one.py")
    with pytest.raises(UserError, match="lab_one differs here"):
        plugins.load([plugin])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "registers nothing"),
        ("import not_there_at_all", r"cannot be imported:\n\n.*line 1(.|\n)*ModuleNotFoundError"),
        ("def f(:", r"cannot be imported(.|\n)*SyntaxError"),
        (TAKEN, r"'gaussian' is registered twice: in .*gaussian\.py and in .*mine\.py"),
        ("from evae.posteriors import posterior\n@posterior\nclass A: pass", "needs a name"),
    ],
    ids=["nothing", "missing import", "syntax", "taken", "no name"],
)
def test_one_that_cannot_be_used_is_refused_and_leaves_nothing(tmp_path, text, said):
    before = set(posteriors)
    with pytest.raises(UserError, match=said):
        plugins.load([written(tmp_path, text)])
    assert set(posteriors) == before and not plugins.LOADED


@pytest.mark.parametrize("given", ["nowhere.py", "no_such_module_here", "no.such.module"])
def test_one_that_is_not_there_is_refused(given):
    with pytest.raises(UserError, match="plug-in"):
        plugins.load([given])


OWN_NOISE = "torch.randn(mu.shape, generator=generator, dtype=mu.dtype)"
BROKEN = {
    "sample: ignores its generator": ("torch.randn_like(mu)", "0.5 * mu * mu"),
    "rate: not finite": (OWN_NOISE, "1 / (mu * 0)"),
    "rate: negative": (OWN_NOISE, "mu"),
}


@pytest.mark.parametrize("said", BROKEN)
def test_a_family_that_breaks_its_contract_is_refused_with_the_method(tmp_path, said):
    noise, rate = BROKEN[said]
    text = f"""
import torch
from evae.posteriors import Gaussian, posterior

@posterior
class Broken(Gaussian):
    family = "broken"

    def sample(self, heads, generator):
        mu = self.mean(heads)
        return mu + self.std(heads) * {noise}

    def rate(self, heads):
        mu = self.mean(heads)
        return {rate}
"""
    loaded = plugins.load([written(tmp_path, text)])
    with pytest.raises(UserError, match=said):
        require(loaded)


def test_a_method_that_raises_is_shown_by_its_own_traceback(tmp_path):
    text = ANOTHER + "\n    def rate(self, heads):\n        return heads.nonsense()\n"
    with pytest.raises(UserError, match=r"mine\.py.*in rate(.|\n)*nonsense"):
        require(plugins.load([written(tmp_path, text)]))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("np.zeros((9, 1, 8, 8))", r"float64 \(1, 8, 8\): they must be uint8"),
        ("np.zeros((9, 8, 8), np.uint8)", "must be uint8"),
        ("np.zeros((9, 1, 8, 8), np.float32)", "must be uint8"),
    ],
)
def test_a_data_source_that_yields_no_images_is_refused(tmp_path, value, said):
    text = f"""
import numpy as np
from evae.data import Raw, data_source

@data_source("odd")
def read(recipe, root):
    return Raw(train={value}, test={value}, image_size=8, channels=1)
"""
    plugins.load([written(tmp_path, text)])
    with pytest.raises(UserError, match=said):
        load_data(DataRecipe(source="odd"))


def test_a_metric_is_a_column_of_both_splits_and_an_objective():
    plugins.load([str(EXAMPLES / "edges.py")])
    training = Training(tiny_recipe(epochs=1), tiny_images())
    training.train_epoch()
    features = load_features("efficientnet-lite0-b2")
    images = training.images
    splits = {s: reference(getattr(images, s), images.train, features, None) for s in ("test", "validation")}
    measured = evaluate(training, features, splits, pictures=False).metrics
    x = tensor(training.images.test).float() / 255
    with torch.no_grad():
        expected = float(METRICS["edges"].measure(training.model.reconstruct(x), x).mean())
    assert measured["rec_edges"] == pytest.approx(expected, rel=1e-4) and measured["val_rec_edges"] > 0
    assert "gen_edges" not in measured
    assert resolve_objectives(["rec_edges"], "x") == [("rec_edges", "min")]


@pytest.mark.parametrize(
    ("about", "said"),
    [({"of": "pixels"}, "unknown subject of a metric"), ({"of": "pairs", "direction": "up"}, '"min" or "max"')],
)
def test_a_metric_of_other_words_is_refused(about, said):
    with pytest.raises(UserError, match=said):
        metric("strange", **about)(len)


@pytest.mark.parametrize("name", [one.name for one in METRICS.values() if one.measure])
@pytest.mark.parametrize("check", METRIC_CHECKS, ids=lambda check: check.__name__)
def test_our_own_metrics_keep_the_contract(name, check):
    check(METRICS[name])


def test_the_report_calls_a_metric_as_its_study_did():
    assert naming.label("rec_kanten") == "reconstruction kanten"
    naming.know({"kanten": ["error of edges", "slopes"], "ssim": ["ours", ""]})
    assert naming.label("rec_ssim") == "reconstruction SSIM"
    assert (naming.label("rec_kanten"), naming.unit("rec_kanten")) == ("reconstruction error of edges", "slopes")


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_the_examples_keep_their_contracts(example):
    (plugin,) = plugins.load([str(EXAMPLES / example)])
    found = list(run(plugin))
    assert found and [result for result in found if result.fault] == []
