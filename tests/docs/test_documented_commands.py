"""Whatever README and documentation tell one to type is what the commands take today.

A command of ours is parsed by its own parser, and of a study the options are checked as before a training; nothing is
trained. A program of others must be in `OTHERS`. Python blocks compile, and what they import is there.
"""

import ast
import functools
import importlib
import inspect
import re
import runpy
import shlex
import sys
import tomllib

import pytest
import tyro
from blocks import ROOT, TEXTS, blocks, commands

from evae import plugins
from evae.registry import forget, registered_by
from evae.search.claims import parse
from evae.search.deciding import known
from evae.study.options import StudyOptions
from studies import command as evae_command

OTHERS = (".", "cd", "pip", "ray", "optuna-dashboard", "tensorboard", "docker", "kubectl")
"""Programs that are not ours, by what stands first."""
INSIDE = {"sbatch": "cluster-slurm.sh", "docker run": "evae"}
"""After what, in these programs' commands, a command of `evae` follows."""
FOLDERS = ("analysis", "benchmarks", "examples", "studies", "tests")
SHELL = [
    pytest.param(command, id=f"{path.name}: {command[:70]}")
    for path in TEXTS
    for kind, block in blocks(path.read_text())
    if kind == "shell"
    for command in commands(block)
]
BLOCKS = [
    pytest.param(kind, block, id=f"{path.name}: {block.partition(chr(10))[0]}")
    for path in TEXTS
    for kind, block in blocks(path.read_text())
    if kind in ("python", "toml")
]


class Parsed(BaseException):
    """The command line was taken, and this is what it says. No error, so that nobody takes it for one."""

    def __init__(self, said):
        self.said = said


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder like the project's, with the files that the texts have their readers write."""
    folder = tmp_path_factory.mktemp("place")
    for name in FOLDERS:
        (folder / name).symlink_to(ROOT / name)
    (folder / "student_t.py").write_bytes((ROOT / "examples" / "student_t.py").read_bytes())
    (folder / "flat.py").write_text(block_of("tutorials/your-posterior.md", "python"))
    (folder / "study.toml").write_text(block_of("config.md", "toml"))
    return folder


@pytest.fixture
def parsed(monkeypatch, place):
    """A function that gives what a command line, as a list, says to the command."""
    real = tyro.cli

    def cli(what, **given):
        if not inspect.isclass(what):
            what = functools.wraps(what)(lambda *_, **__: None)
        raise Parsed(real(what, **given))

    def run(words):
        program, *given = words
        monkeypatch.setattr(sys, "argv", [program, *given])
        try:
            if program == "evae":
                evae_command.main()
            elif given[0] == "-m":
                monkeypatch.setattr(sys, "argv", given[1:])
                runpy.run_module(given[1], run_name="__main__")
            else:
                monkeypatch.setattr(sys, "argv", given)
                runpy.run_path(given[0], run_name="__main__")
        except Parsed as found:
            return found.said
        except SystemExit as end:
            # Help, and what has no parser of tyro's, may end well.
            assert not end.code, f"{shlex.join(words)} ends with {end.code}"
        return None

    monkeypatch.setattr(tyro, "cli", cli)
    monkeypatch.chdir(place)
    yield run
    for name in list(plugins.LOADED):
        forget(registered_by(name))
        del plugins.LOADED[name]


def block_of(page, kind):
    """The first block of this language in a page of docs/."""
    return next(block for k, block in blocks((ROOT / "docs" / page).read_text()) if k == kind)


def inside(words):
    """What a command of one of `INSIDE` gives to `evae`."""
    for program, after in INSIDE.items():
        if shlex.join(words).startswith(program) and after in words:
            return words[words.index(after) + 1 :]
    return []


def check(options):
    """What a study checks of its options before it loads data."""
    base, space = options.base_recipe(), options.space
    recipes = space.recipes(base)
    options.resolved_objectives()
    options.constraints()
    parse(options.claim, known(space, base, recipes, options.total, ("features", options.first_density)))


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("command", SHELL)
def test_commands_are_what_they_are_said_to_be(command, parsed):
    words = [word.removeprefix(".venv/bin/") for word in shlex.split(command)]
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert set(words[1:]) <= set(targets)
    elif words[:2] == ["ray", "exec"]:
        inner = [shlex.split(part) for part in words[3].split("&&")]
        test_commands_are_what_they_are_said_to_be(shlex.join(inner[-1]), parsed)
    elif words[:3] == ["python", "-m", "pytest"]:
        assert all((ROOT / word).exists() for word in words if "/" in word)
    elif given := inside(words):
        parsed(["evae", *given])
    elif words[0] in ("evae", "python"):
        options = parsed(words)
        if isinstance(options, StudyOptions):
            check(options)
    else:
        assert words[0] in OTHERS, f"a test should know how to try {words[0]!r}"


@pytest.mark.parametrize(("kind", "block"), BLOCKS)
def test_blocks_of_code_can_be_read_and_import_what_there_is(kind, block):
    if kind == "toml":
        assert tomllib.loads(block)
        return
    for part in ast.walk(ast.parse(block)):
        if isinstance(part, ast.ImportFrom):
            for name in part.names:
                assert hasattr(importlib.import_module(part.module), name.name), f"{part.module} has no {name.name}"


def test_the_posterior_of_the_tutorial_does_what_a_posterior_must(place):
    from evae.testing.families import require

    require(plugins.load([str(place / "flat.py")]))
    for name in list(plugins.LOADED):
        forget(registered_by(name))
        del plugins.LOADED[name]
