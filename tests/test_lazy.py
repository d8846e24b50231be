"""What is imported before something is computed: nothing that takes seconds."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "ray", "optuna", "pandas", "sklearn", "scipy", "pyarrow", "plotly"}
STUDIES = ("kernel_sweep", "mog_sweep", "beta_sweep", "discriminator_sweep", "reproduce_evae")


def imported(code: str, status: int = 0, says: str = "") -> set[str]:
    """The packages that a fresh interpreter has imported when it ends, with this status and these words."""
    code = f"""
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}}))))
{code}
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == status and says in " ".join(ended.stdout.split() + ended.stderr.split()), ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1]))


def command(module: str, *arguments: str) -> str:
    """The code that runs a module's command line."""
    return f"import runpy; sys.argv = {[module, *arguments]}; runpy.run_module({module!r}, None, '__main__', True)"


def test_a_recipe_of_every_family_is_made_without_them():
    code = """
from evae.adversarial import Adversarial
from evae.likelihoods import likelihood
from evae.networks import network
from evae.posteriors import posterior
from evae.recipe import Recipe

for a in posterior.values():
    for b in likelihood.values():
        for c in network.values():
            recipe = Recipe(posterior=a(), likelihood=b(), network=c(), adversarial=Adversarial())
            assert Recipe.from_dict(recipe.to_dict()) == recipe
            assert recipe.configuration()
"""
    assert not imported(code) & HEAVY


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_explains_itself_without_them(study):
    assert not imported(command(f"studies.{study}", "--help"), says="python studies/") & HEAVY


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--latnet", "3"], 2, "--latent"),
        (["--learning-rate", "0"], 2, "learning_rate must be above 0"),
        (["--objectives", "fid"], 2, "unknown objective 'fid'"),
        (["--features", "inceptoin"], 2, "Did you mean 'inception'?"),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else "",
)
def test_a_command_line_is_read_without_them(arguments, status, says):
    assert not imported(command("studies.mog_sweep", *arguments), status, says) & HEAVY


@pytest.mark.parametrize(
    ("tool", "arguments", "status", "says"),
    [
        ("evae.doctor", ["--help"], 0, "fit for a study?"),
        ("evae.doctor", ["--adress", "auto"], 2, "--address"),
        ("evae.doctor", ["--features", "inceptoin"], 2, "Did you mean 'inception'?"),
        ("analysis.report", ["--help"], 0, "Write the report of a study"),
        ("analysis.report", ["results", "--outptu", "a.html"], 2, "--output"),
        ("analysis.compare", ["--help"], 0, "several studies stand side by side"),
        ("analysis.compare", ["a", "b", "--outptu", "a.html"], 2, "--output"),
        ("evae.repeat", ["--help"], 0, "Train one recipe again"),
        ("evae.repeat", ["{}", "--devise", "cpu"], 2, "--device"),
        ("evae.repeat", ['{"latent": 0}'], 1, "latent size must be at least 1"),
    ],
)
def test_a_tools_command_line_is_read_without_them(tool, arguments, status, says):
    assert not imported(command(tool, *arguments), status, says) & HEAVY


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "folder:nowhere"], "nowhere is not a folder"),
        (["--data", "photos", "--image-size", "48"], "do not support images of 48 pixels"),
        (["--workers-per-trial", "65"], "a batch of 64 cannot be shared"),
        (["--data", "photos", "--validation-images", "5000"], "has only 1300 images"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_cannot_be_done_with_the_data_is_said_before_torch_and_ray_are_imported(tmp_path, arguments, says):
    code = command("studies.kernel_sweep", "--results", str(tmp_path), *arguments)
    assert not imported(code, 2, says) & {"torch", "ray", "plotly"}


def test_what_is_first_used_is_then_imported():
    assert "torch" in imported("from evae.lazy import F; assert F.relu")
    assert not imported("from evae.lazy import F, nn, optuna, torch") & HEAVY


def test_a_name_that_is_not_there_is_said_as_by_the_module_itself():
    from evae.lazy import torch

    with pytest.raises(AttributeError, match="module 'torch' has no attribute 'tensors'"):
        torch.tensors  # noqa: B018
