"""What is imported is declared: a package that comes along with another today may not do so tomorrow."""

import ast
import importlib
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PRODUCT = ("evae", "analysis", "studies", "search_spaces")
OURS = {*PRODUCT, "benchmarks", "tests"}
RIVALS = {"pythae"}
"""What benchmarks compare with where somebody has installed it."""
CONSTRAINTS = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def declared(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


NEEDED = declared(PROJECT["dependencies"])
TESTS = declared(PROJECT["optional-dependencies"]["test"])
EXTRAS = {
    name for extra, lines in PROJECT["optional-dependencies"].items() if extra != "test" for name in declared(lines)
}


def imported(folders: tuple[str, ...]) -> set[str]:
    """The distributions whose modules are imported below these folders, in functions too."""
    modules = set()
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.partition(".")[0])
    found, known = set(), packages_distributions()
    for module in modules - sys.stdlib_module_names - OURS - RIVALS - {file.stem for file in files}:
        found |= {canonicalize_name(name) for name in known[module]}
    return found


def test_what_the_product_imports_is_installed_with_it_or_with_an_extra_that_tests_have_too():
    assert imported(PRODUCT) - NEEDED - EXTRAS == set()
    assert EXTRAS <= TESTS


def test_nothing_is_installed_that_nobody_imports():
    assert NEEDED - imported(PRODUCT) == set()


def test_what_tests_and_benchmarks_import_is_installed_with_the_tests():
    assert imported(("tests", "benchmarks")) - NEEDED - TESTS == set()


@pytest.mark.parametrize("requirement", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
def test_what_is_declared_is_pinned_for_who_installs_with_make(requirement):
    assert canonicalize_name(Requirement(requirement).name) in {canonicalize_name(name) for name in CONSTRAINTS}


OF_TPE = (
    "_truncnorm",
    "parzen_estimator._ParzenEstimator",
    "probability_distributions._BatchedCategoricalDistributions",
    "probability_distributions._BatchedDistributions",
    "probability_distributions._log_gauss_mass_unique",
    "probability_distributions._unique_inverse_2d",
)
PRIVATE = {
    "torch._amp_foreach_non_finite_check_and_unscale_": "find how a gradient scaler looks for what is not finite, for "
    "evae/stepping/tally.py; or make that 1 by torch.maximum with (means - means != 0).any(), five operations",
    "torch.cpu._is_amx_tile_supported": "find what tells that a CPU multiplies bf16 natively, in evae/hardware.py; or "
    "read amx_bf16 among the flags of /proc/cpuinfo",
    "torch.nn.modules.batchnorm._BatchNorm": "name the layers of that kind one by one",
    "torch.nn.modules.dropout._DropoutNd": "name the layers of that kind one by one",
    "optuna.samplers._tpe.sampler._get_reference_point": "see how TPE takes its reference point now, for "
    "evae/search/branch_tpe.py",
    "optuna.samplers._tpe.sampler._solve_hssp_with_cache": "see how TPE chooses among what is equally good now, for "
    "evae/search/branch_tpe.py",
} | {
    f"optuna.samplers._tpe.{name}": "see how TPE adds up its density now, for evae/search/parzen.py; or leave that to "
    "Optuna, which takes longer"
    for name in OF_TPE
}
"""Of packages other than Ray (tests/cluster/test_private.py): what they do not promise to keep, and what to do."""


def private_parts() -> set[str]:
    """The dotted names with an underscore that the product reaches through the names of packages."""
    found = set()
    for file in (file for folder in PRODUCT for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute):
                found.add(ast.unparse(node))
    tops = {name for names in (NEEDED, ("sklearn", "PIL")) for name in names} - {"ray"}
    return {name for name in found if name.partition(".")[0] in tops and re.fullmatch(r"[\w.]*\._[A-Za-z]\w*", name)}


def test_private_parts_of_other_packages_are_few_and_there():
    assert private_parts() == set(PRIVATE)
    for name, remedy in PRIVATE.items():
        module, _, part = name.rpartition(".")
        assert hasattr(importlib.import_module(module), part), f"no {name}: {remedy}"


@pytest.mark.parametrize(
    "name",
    # 0.x, of which any may be another; and what we take apart or whose newest parts we use.
    ["ray", "torch", "torchvision", "optuna", "plotly", "tyro", "mlxtend", "pytorch-fid", "efficientnet-lite-pytorch"],
)
def test_what_may_change_under_us_has_an_upper_bound(name):
    (found,) = [r for r in map(Requirement, PROJECT["dependencies"]) if canonicalize_name(r.name) == name]
    assert any(clause.operator == "<" for clause in found.specifier)
