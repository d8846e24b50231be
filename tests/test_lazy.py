"""What is imported before something is computed: nothing that takes seconds."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "ray", "optuna", "pandas", "sklearn", "scipy", "pyarrow", "plotly"}
STUDIES = (
    "kernel_sweep",
    "mog_sweep",
    "beta_sweep",
    "discriminator_sweep",
    "training_sweep",
    "reproduce_evae",
    "reproduce_poisson",
    "poisson_sweep",
    "two_stage",
    "mapa",
)


def imported(code: str) -> set[str]:
    """The packages that a fresh interpreter has imported when it has run this."""
    code += """
import json, sys
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1]))


def commands(module: str, *lines: tuple[list[str], int, str]) -> str:
    """Code that runs a module's command line with each of these arguments, and asks for that status and those words."""
    return f"""
import contextlib, io, runpy, sys
for arguments, status, says in {lines}:
    sys.argv, said, ended = [{module!r}, *arguments], io.StringIO(), None
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            runpy.run_module({module!r}, None, "__main__", True)
        except SystemExit as end:
            # A text as status is an error message, and a status of 1.
            ended = 1 if isinstance(end.code, str) else end.code
            print(end.code)
    assert (ended or 0) == status and says in " ".join(said.getvalue().split()), (arguments, ended, said.getvalue())
"""


def test_a_recipe_of_every_family_is_made_without_them():
    code = """
from evae.adversarial import Adversarial
from evae.criteria import criterion
from evae.densities import density
from evae.likelihoods import likelihood
from evae.networks import network
from evae.posteriors import posterior
from evae.recipe import Evaluation, Recipe

evaluation = Evaluation(densities=tuple(one() for one in density.values()))

for a in posterior.values():
    for b in likelihood.values():
        for c in network.values():
            parts = {"posterior": a(), "likelihood": b(), "network": c(), "evaluation": evaluation}
            criteria = tuple(one() for one in criterion.values())
            recipe = Recipe(adversarial=Adversarial(), criteria=criteria, **parts)
            assert Recipe.from_dict(recipe.to_dict()) == recipe
            assert recipe.configuration()
"""
    assert not imported(code) & HEAVY


@pytest.mark.parametrize("study", STUDIES)
def test_a_studys_command_line_is_read_without_them(study):
    code = commands(
        f"studies.{study}",
        (["--help"], 0, "python studies/"),
        (["--latnet", "3"], 2, "--latent"),
        (["--learning-rate", "0"], 2, "learning_rate must be above 0"),
        (["--objectives", "fid"], 2, "unknown objective 'fid'"),
        (["--features", "inceptoin"], 2, "Did you mean 'inception'?"),
    )
    assert not imported(code) & HEAVY


@pytest.mark.parametrize(
    ("tool", "lines"),
    [
        (
            "evae.doctor",
            [
                (["--help"], 0, "fit for a study?"),
                (["--adress", "auto"], 2, "--address"),
                (["--features", "inceptoin"], 2, "Did you mean 'inception'?"),
            ],
        ),
        (
            "analysis.report",
            [(["--help"], 0, "Write the report of a study"), (["results", "--outptu", "a.html"], 2, "--output")],
        ),
        (
            "analysis.compare",
            [(["--help"], 0, "several studies stand side by side"), (["a", "b", "--outptu", "a.html"], 2, "--output")],
        ),
        (
            "evae.measure",
            [
                (["--help"], 0, "Measure a finished study anew"),
                (["results/a", "--feature", "inception"], 2, "--features"),
            ],
        ),
        (
            "evae.repeat",
            [
                (["--help"], 0, "Train one recipe again"),
                (["{}", "--devise", "cpu"], 2, "--device"),
                (['{"latent": 0}'], 1, "latent size must be at least 1"),
            ],
        ),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_tools_command_line_is_read_without_them(tool, lines):
    assert not imported(commands(tool, *lines)) & HEAVY


def test_what_cannot_be_done_with_the_data_is_said_before_torch_and_ray_are_imported(tmp_path):
    results = ["--results", str(tmp_path)]
    code = commands(
        "studies.kernel_sweep",
        ([*results, "--data", "folder:nowhere"], 2, "nowhere is not a folder"),
        ([*results, "--data", "photos", "--image-size", "8"], 2, "take images of 16 to 256 px"),
        ([*results, "--workers-per-trial", "65"], 2, "a batch of 64 cannot be shared"),
        ([*results, "--data", "photos", "--validation-images", "5000"], 2, "has only 1300 images"),
    )
    assert not imported(code) & {"torch", "ray", "plotly"}


def test_what_is_first_used_is_then_imported():
    assert "torch" in imported("from evae.lazy import F; assert F.relu")
    assert not imported("from evae.lazy import F, nn, optuna, torch") & HEAVY


def test_a_name_that_is_not_there_is_said_as_by_the_module_itself():
    from evae.lazy import torch

    with pytest.raises(AttributeError, match="module 'torch' has no attribute 'tensors'"):
        torch.tensors  # noqa: B018
