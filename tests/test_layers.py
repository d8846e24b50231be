"""Arrows run downwards only: the contracts in pyproject.toml hold, and would be broken by what they are against."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("evae", "analysis", "search_spaces", "studies")


def check(root: Path) -> tuple[int, str]:
    """The exit status of import-linter on the packages of a folder, and what it says."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


def test_what_is_imported_keeps_to_the_layers() -> None:
    status, said = check(ROOT)
    assert status == 0, said


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own files, to break something in."""
    root = tmp_path_factory.mktemp("layers")
    shutil.copy(ROOT / "pyproject.toml", root)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, root / package, ignore=lambda _, names: {n for n in names if n == "__pycache__"}
        )
    return root


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("evae/results/rows.py", "import torch", "Results need neither"),
        ("evae/results/store.py", "from evae.kernels import KERNELS", "evae: from"),
        ("evae/search/space.py", "import ray", "Only cluster and study know of Ray"),
        ("evae/search/noise.py", "def later(): import torch", "The report needs neither"),
        ("evae/posteriors/base.py", "from evae.results.store import Store", "Of evae, only search"),
        ("evae/cluster/tune.py", "from evae.study.options import StudyOptions", "evae: from"),
        ("evae/study/run.py", "from analysis.report import write_report", "Studies stand on"),
        ("analysis/study/words.py", "from analysis.views import theme", "analysis: from"),
        ("analysis/study/naming.py", "from analysis.study.tables import front", "No circles"),
    ],
)
def test_an_arrow_upwards_is_found(copy: Path, file: str, line: str, broken: str) -> None:
    path = copy / file
    whole = path.read_text(encoding="utf-8")
    path.write_text(f"{whole}\n{line}\n", encoding="utf-8")
    status, said = check(copy)
    path.write_text(whole, encoding="utf-8")
    assert status == 1 and any(text.startswith(broken) and "BROKEN" in text for text in said.splitlines()), said


def test_a_new_room_needs_a_place(copy: Path) -> None:
    """Whoever adds a module to evae says on which line it stands."""
    path = copy / "evae" / "attic.py"
    path.write_text("", encoding="utf-8")
    status, said = check(copy)
    path.unlink()
    assert status != 0 and "attic" in said
