"""Command lines that are wrong are answered without the keys that stand on them."""

import os
import subprocess
import sys

import pytest
from running import DEADLINE_S, ROOT

URI = "s3://KEY:s3cr3t@bucket/" + "long/" * 20 + "?token=s3cr3t"
COMMANDS = {
    "studies/kernel_sweep.py": ["--result", URI],
    "studies/beta_sweep.py": [URI],
    "-m evae.doctor": [f"--stor={URI}"],
    "-m evae.measure": [URI, URI],
    "analysis/report.py": [URI, URI],
    "analysis/compare.py": [URI, "--out", "x"],
}


def ran(command: str, *given: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, *command.split(), *given]
    settings = os.environ | {"COLUMNS": "80"} | environment
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=settings, timeout=DEADLINE_S)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_mistyped_is_said_without_its_secrets(command):
    done = ran(command, *COMMANDS[command])
    said = "".join((done.stdout + done.stderr).replace("│", "").split())
    assert done.returncode == 2 and "Traceback" not in said
    assert "Unrecognizedoptions" in said and "s3cr3t" not in said and "KEY" not in said
    assert command == "analysis/compare.py" or "s3://***@bucket/long/" in said


def test_what_is_right_comes_whole_to_who_asked_for_it():
    done = ran("analysis/report.py", "s3://KEY:s3/cr3t@bucket")
    assert done.returncode == 1 and done.stderr.startswith("error: 's3://***@bucket' has a key or secret")


def test_a_console_without_the_letters_of_a_name_shows_escapes(tmp_path):
    code = "from evae.commands import run\ndef main(name: str) -> None: print(name)\nrun(main)"
    done = subprocess.run(
        [sys.executable, "-c", code, "--name", "übung"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        timeout=DEADLINE_S,
    )
    assert done.stdout == "\\xfcbung\n", done.stderr
