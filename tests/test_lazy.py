"""What is imported before something is computed: nothing that takes seconds."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "ray", "optuna", "pandas", "sklearn", "scipy", "pyarrow", "plotly"}
ROOT = Path(__file__).parents[1]
Lines = tuple[tuple[list[str], int, str], ...]
"""Arguments, and the exit status and words that are asked for."""
STUDY = (
    (["--help"], 0, "python studies/"),
    (["--latnet", "3"], 2, "--latent"),
    (["--learning-rate", "0"], 2, "learning_rate must be above 0"),
    (["--objectives", "fid"], 2, "unknown objective 'fid'"),
    (["--features", "inceptoin"], 2, "Did you mean 'inception'?"),
)
STUDIES = [f.stem for f in sorted((ROOT / "studies").glob("*.py")) if 'if __name__ == "__main__"' in f.read_text()]
TOOLS = {
    "evae.doctor": (
        (["--help"], 0, "fit for a study?"),
        (["--adress", "auto"], 2, "--address"),
        (["--features", "inceptoin"], 2, "Did you mean 'inception'?"),
    ),
    "analysis.report": (
        (["--help"], 0, "Write the report of a study"),
        (["results", "--outptu", "a.html"], 2, "--output"),
    ),
    "analysis.compare": (
        (["--help"], 0, "several studies stand side by side"),
        (["a", "b", "--outptu", "a.html"], 2, "--output"),
    ),
    "evae.measure": (
        (["--help"], 0, "Measure a finished study anew"),
        (["results/a", "--feature", "inception"], 2, "--features"),
    ),
    "evae.repeat": (
        (["--help"], 0, "Train one recipe again"),
        (["{}", "--devise", "cpu"], 2, "--device"),
        (['{"latent": 0}'], 1, "latent size must be at least 1"),
    ),
}
COMMANDS: Mapping[str, Lines] = TOOLS | {f"studies.{study}": STUDY for study in STUDIES}


def imported(code: str) -> set[str]:
    """The packages that a fresh interpreter has imported when it has run this."""
    code += """
import json, sys
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1]))


def read(given: Mapping[str, Lines]) -> dict[str, tuple[list[str], set[str]]]:
    """For each of these modules, run one after the other by a fresh interpreter with the arguments of each of its
    lines: what ended with another status or other words than the line says, and the packages that were then imported
    for the first time. An interpreter for each would import the same again and again."""
    code = f"""
import contextlib, io, json, runpy, sys
found, before = {{}}, set()
for module, lines in {dict(given)}.items():
    wrong = []
    for arguments, status, says in lines:
        sys.argv, said, ended = [module, *arguments], io.StringIO(), None
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                runpy.run_module(module, None, "__main__", True)
            except SystemExit as end:
                # A text as status is an error message, and a status of 1.
                ended = 1 if isinstance(end.code, str) else end.code
                print(end.code)
        if (ended or 0) != status or says not in " ".join(said.getvalue().split()):
            wrong.append(f"{{arguments}}: {{ended}}, {{said.getvalue()}}")
    there = {{name.partition(".")[0] for name in sys.modules}}
    found[module], before = (wrong, sorted(there - before)), there
print(json.dumps(found))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    return {module: (wrong, {*packages}) for module, (wrong, packages) in found.items()}


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[list[str], set[str]]]:
    return read(COMMANDS)


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


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_line_is_read_without_them(answers, module):
    wrong, packages = answers[module]
    assert wrong == [] and not packages & HEAVY


def test_what_cannot_be_done_with_the_data_is_said_before_torch_and_ray_are_imported(tmp_path):
    results = ["--results", str(tmp_path)]
    lines = (
        ([*results, "--data", "folder:nowhere"], 2, "nowhere is not a folder"),
        ([*results, "--data", "photos", "--image-size", "8"], 2, "take images of 16 to 256 px"),
        ([*results, "--workers-per-trial", "65"], 2, "a batch of 64 cannot be shared"),
        ([*results, "--data", "photos", "--validation-images", "5000"], 2, "has only 1300 images"),
    )
    ((wrong, packages),) = read({"studies.kernel_sweep": lines}).values()
    assert wrong == [] and not packages & {"torch", "ray", "plotly"}


def test_what_is_first_used_is_then_imported():
    assert "optuna" in imported("from evae.lazy import optuna; assert optuna.create_study")
    assert not imported("from evae.lazy import F, nn, optuna, torch") & HEAVY


def test_a_name_that_is_not_there_is_said_as_by_the_module_itself():
    from evae.lazy import torch

    with pytest.raises(AttributeError, match="module 'torch' has no attribute 'tensors'"):
        torch.tensors  # noqa: B018
