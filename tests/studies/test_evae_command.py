"""`evae`: what it starts is what `python` starts, and what it does not know it names the nearest of."""

import pkgutil
import re
import subprocess
import sys
import tomllib

import pytest
from running import DEADLINE_S, ROOT

from evae.commands import CALLED
from studies import command


def evae(monkeypatch, capsys, *given: str) -> tuple[int, str, str]:
    """(exit status, output, errors) of `evae GIVEN`, in this process."""
    monkeypatch.setattr(sys, "argv", ["evae", *given])
    monkeypatch.setattr(sys, "path", list(sys.path))
    for module in ("studies.kernel_sweep", *(module for module, _ in command.COMMANDS.values())):
        monkeypatch.delitem(sys.modules, module, raising=False)  # as in a process of its own
    token, status = CALLED.set(None), 0
    try:
        command.main()
    except SystemExit as end:
        status = end.code or 0
    finally:
        CALLED.reset(token)
    return status, *capsys.readouterr()


def test_help_names_every_command_and_every_study_with_its_question(monkeypatch, capsys):
    status, said, _ = evae(monkeypatch, capsys, "--help")
    assert status == 0 and {*command.COMMANDS} <= {*re.findall(r"^  ([\w-]+)  ", said, re.MULTILINE)}
    for file in (ROOT / "studies").glob("*.py"):
        if 'if __name__ == "__main__"' in file.read_text():
            assert re.search(rf"^  {file.stem.replace('_', '-')} .*\?$", said, re.MULTILINE), file
    assert evae(monkeypatch, capsys)[:2] == (0, said)
    assert evae(monkeypatch, capsys, "study")[0] == 0


def test_help_imports_nothing_that_takes_long():
    code = (
        "import sys; sys.argv = ['evae', '--help']\nfrom studies.command import main\nmain()\n"
        "assert not {'torch', 'ray', 'optuna', 'pyarrow', 'pandas'} & {*sys.modules}"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=DEADLINE_S)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("name", command.COMMANDS)
def test_each_command_is_the_module_with_its_own_options(monkeypatch, capsys, name):
    status, said, _ = evae(monkeypatch, capsys, name, "--help")
    assert status == 0 and f"usage: evae {name} " in said


@pytest.mark.parametrize("name", ["kernel-sweep", "kernel_sweep"])
def test_a_study_is_its_file(monkeypatch, capsys, name):
    status, said, _ = evae(monkeypatch, capsys, "study", name, "--help")
    assert status == 0 and "usage: evae study kernel-sweep " in said and "Which posterior should a VAE have" in said


def test_a_file_of_ones_own_runs_as_with_python(monkeypatch, capsys, tmp_path):
    (tmp_path / "beside.py").write_text("WORD = 'hello'\n")
    mine = tmp_path / "mine.py"
    mine.write_text("import sys\nfrom beside import WORD\nif __name__ == '__main__':\n    print(WORD, sys.argv)\n")
    assert evae(monkeypatch, capsys, "study", str(mine), "--x")[:2] == (0, f"hello {[str(mine), '--x']}\n")
    sys.modules.pop("beside")


def test_a_file_of_options_runs_the_study_that_it_names(monkeypatch, capsys, tmp_path):
    (tmp_path / "s.toml").write_text('study = "kernel-sweep"\nlatent = 0\n')
    status, _, errors = evae(monkeypatch, capsys, "study", str(tmp_path / "s.toml"))
    assert status == 2 and "the latent size must be at least 1, got 0" in errors
    (tmp_path / "t.toml").write_text("latent = 3\n")
    status, _, errors = evae(monkeypatch, capsys, "study", str(tmp_path / "t.toml"))
    assert status == 2 and "does not say of which study it is" in errors


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["reprot"], "unknown command 'reprot'. Did you mean 'report'?"),
        (["study", "kernelsweep"], "unknown study 'kernelsweep'. Did you mean 'kernel-sweep'?"),
        (["study", "absent.py"], "there is no file absent.py"),
    ],
)
def test_what_is_not_known_is_answered_with_the_nearest(monkeypatch, capsys, given, says):
    status, _, errors = evae(monkeypatch, capsys, *given)
    assert status == 2 and errors.startswith(f"error: {says}")


def test_the_command_is_installed_with_the_package():
    script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["evae"]
    assert pkgutil.resolve_name(script) is command.main
