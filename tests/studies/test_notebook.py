"""A study in a notebook: it shows how far it is, can be interrupted and gone on with, and is followed by another."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbformat import read
from running import DEADLINE_S, ROOT, TINY, wait_until

from evae.results.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
SMALL = ", ".join(f"{name.replace('-', '_')}={value!r}" for name, value in TINY.items() if name != "trials")
IMPORTS = "from studies.cli import run\nfrom studies.kernel_sweep import KernelSweep"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return tmp_path


class Kernel:
    """A kernel as Jupyter starts one. `outputs` are the messages of the last cell."""

    def __init__(self):
        self.manager, self.client = start_new_kernel(kernel_name="python3")
        self.outputs: list[dict[str, Any]] = []

    def run(self, code: str) -> str:
        """How a cell ended: "ok" or "error"."""
        self.outputs.clear()
        answer = self.client.execute_interactive(code, timeout=DEADLINE_S, output_hook=self.outputs.append)
        return answer["content"]["status"]

    def of(self, kind: str) -> list[Any]:
        return [message["content"] for message in self.outputs if message["header"]["msg_type"] == kind]


@pytest.fixture
def kernel(place) -> Iterator[Kernel]:
    made = Kernel()
    yield made
    made.client.stop_channels()
    made.manager.shutdown_kernel(now=True)


def study(name: str, **options: Any) -> str:
    given = "".join(f", {option}={value!r}" for option, value in options.items())
    return f"{IMPORTS}\nstore = run(KernelSweep(name={name!r}, {SMALL}{given}))"


def test_a_cell_shows_how_far_it_is_and_another_study_follows(kernel, place):
    assert kernel.run(study("one", trials=2)) == "ok", kernel.of("error")
    (shown,) = [each for each in kernel.of("display_data") if each["transient"].get("display_id")]
    renewed = [each["data"]["text/plain"] for each in kernel.of("update_display_data")]
    assert "0/2" in shown["data"]["text/plain"] and "2/2" in renewed[-1] and "best so far" in renewed[-1]
    assert any("epoch 1/1" in text for text in renewed) and not kernel.of("clear_output")
    assert not kernel.of("stream"), "nothing but what the study shows"
    assert kernel.run(study("two", trials=2)) == "ok", kernel.of("error")
    assert {row["state"] for name in ("one", "two") for row in rows(place / "results" / name)} == {"finished"}


def test_an_interrupted_cell_keeps_what_has_finished_and_goes_on(kernel, place):
    code, place = study("long", trials=3).replace("epochs=1,", "epochs=30,"), place / "results" / "long"

    def finished() -> dict[str, Any]:
        return {row["trial"]: row["ended_at"] for row in rows(place) if row["state"] == "finished"}

    message = kernel.client.execute(code)
    wait_until(lambda: rows(place), "no trial has begun")
    kernel.manager.interrupt_kernel()
    answer = kernel.client.get_shell_msg(timeout=DEADLINE_S)
    while answer["parent_header"]["msg_id"] != message:
        answer = kernel.client.get_shell_msg(timeout=DEADLINE_S)
    assert (answer["content"]["status"], answer["content"]["ename"]) == ("error", "KeyboardInterrupt")
    before = finished()
    assert kernel.run(code) == "ok", kernel.of("error")
    assert len(finished()) == 3 and before.items() <= finished().items()


def test_what_cannot_be_done_is_said_in_a_line(kernel):
    assert kernel.run(study("one", trials=2, fit="no")) == "error"
    (error,) = kernel.of("error")
    assert len(error["traceback"]) == 1 and error["traceback"][0].startswith("error: "), error


def rows(place: Path) -> list[dict[str, Any]]:
    return Store(place).read("trials").to_pylist() if (place / "trials").is_dir() else []


def test_the_notebook_of_the_documentation_runs(place):
    """In a tenth of the time: what it says is there, smaller."""
    notebook = read(ROOT / "docs" / "study.ipynb", 4)
    (cell,) = [cell for cell in notebook.cells if "run(KernelSweep(" in cell.source]
    smaller = 'validation_images=50, test_images=50, size="tiny", latent=4, features="efficientnet-lite0-b2"'
    cell.source = cell.source.replace("train_images=500", f"train_images=200, {smaller}")
    assert smaller in cell.source
    NotebookClient(notebook, timeout=int(DEADLINE_S), kernel_name="python3").execute()
    kinds = [kind for cell in notebook.cells for output in cell.get("outputs", ()) for kind in output.get("data", ())]
    assert "application/vnd.plotly.v1+json" in kinds and "image/png" in kinds
    assert (place / "results" / "notebook" / "report.html").is_file() and os.getcwd() == str(place)
