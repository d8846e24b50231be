"""The report beyond its one page: served while the study runs, exported, in a notebook."""

import csv
import io
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from synthetic import BEGAN, CONTROLS, write_study, write_trial

from analysis import export, live
from analysis.study import tables
from analysis.study.load import StudyData
from analysis.views import hypervolume, importance, sections
from analysis.views.drawing import Chart
from evae.errors import UserError
from evae.results.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_study(tmp_path_factory.mktemp("running"), configurations=5, seeds=1, state="running")


@pytest.fixture(scope="module")
def server(running: Store) -> Iterator[tuple[live.Live, str]]:
    watched = live.Live(running.location)
    server = live.serve(watched, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield watched, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def get(url: str) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever the environment says
    with direct.open(url) as answer:
        return answer.read().decode()


def test_a_live_page_follows_the_study(server: tuple[live.Live, str], running: Store) -> None:
    import numpy as np

    watched, url = server
    assert "still running" in get(url) and get(url + "version") == "1"
    assert not watched.look()
    watched._rest_until = 0.0
    assert not watched.look(), "nothing has changed"
    label, origin, params = CONTROLS[0]
    write_trial(running, np.random.default_rng(0), 77, label, origin, params, 0, "diverged", BEGAN, 0)
    assert watched.look()
    assert get(url + "version") == "2" and "1 diverged" in get(url)


def test_a_half_written_file_is_not_read(server: tuple[live.Live, str], running: Store) -> None:
    watched, _ = server
    watched._rest_until = 0.0
    (Path(running.root) / "trials" / "x-s0.parquet.0123.part").write_bytes(b"PAR1")
    assert not watched.look()


def test_only_the_page_and_only_on_loopback(server: tuple[live.Live, str]) -> None:
    _, url = server
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(url + "../etc/passwd")
    port = int(re.search(r":(\d+)/", url)[1])
    with socket.socket() as other:
        # Taken on 127.0.0.1 alone: another address of this machine is still free.
        other.bind(("127.0.0.2", port))


def test_a_taken_port_names_the_remedy(server: tuple[live.Live, str]) -> None:
    watched, url = server
    with pytest.raises(UserError, match="--port"):
        live.serve(watched, int(re.search(r":(\d+)/", url)[1]))
    with pytest.raises(UserError, match="--port"):
        live.serve(watched, 99_999)


def drawn(study: StudyData) -> dict[str, Chart]:
    table = tables.configurations(study)
    front, grown = tables.front(table, study.objectives), hypervolume.history(study, table)
    found = sections.draw(study, table, front, grown, importance.shares(study, table))
    return {chart.key: chart for section in found.values() for chart in section}


def test_csv_holds_what_is_drawn(racing: StudyData) -> None:
    chart = drawn(racing)["front"]
    rows = list(csv.DictReader(io.StringIO(export.as_csv(chart, {}))))
    table = tables.configurations(racing)
    front = tables.front(table, racing.objectives).set_index("configuration")
    assert {row["id"] for row in rows} == set(front.index)
    for row in rows:
        assert float(row["y"]) == front.loc[row["id"], racing.objectives[0].metric]


@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="needs chromium at /usr/bin/chromium")
def test_a_browser_draws_svg_png_and_pdf(racing: StudyData) -> None:
    some = {key: chart for key, chart in drawn(racing).items() if key in ("front", "timeline")}
    found = export.pictures("/usr/bin/chromium", some)
    assert sorted(found) == [f"{name}.{form}" for name in ("front", "timeline") for form in ("pdf", "png", "svg")]
    assert Image.open(io.BytesIO(found["front.png"])).size == (1800, 1080)
    assert b"real images" in found["front.svg"] and found["front.svg"].startswith(b"<svg")
    assert found["front.pdf"].startswith(b"%PDF-")


def test_the_example_notebook_runs(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook is JSON: its cells are run in order, as Jupyter would, on a made-up study."""
    notebook = json.loads((ROOT / "docs" / "analysis.ipynb").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "kernel-sweep").symlink_to(results)
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert len(names["found"]) == 40 and names["drawn"].data


def test_analysis_imports_neither_torch_nor_ray_nor_scikit_learn() -> None:
    modules = "analysis.export, analysis.live, analysis.page.comparison"
    code = f"import sys, {modules}; print([m for m in ('torch', 'ray', 'sklearn') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.strip() == "[]", ran.stderr
