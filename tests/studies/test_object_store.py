"""A study whose results lie in an object store, reached by a URI with a key: two drivers, a name that needs escapes."""

import pytest
from object_store import KEY, SECRET, bucket
from running import ROOT, Study, ended, wait_until

from evae.results.places import join
from evae.results.store import Store

NAME = "grid[a]#1?%"


@pytest.fixture
def server():
    with bucket() as server:
        yield server


def test_a_study_in_an_object_store_keeps_others_out_and_its_key_to_itself(server, tmp_path):
    study = Study(tmp_path, results=server.uri("studies"), name=NAME, trials=1, trials_at_once=1)
    study.store = Store(join(server.uri("studies"), NAME))
    first = study.start()
    wait_until(lambda: f"studies/{NAME}/driver/lease.json" in server.objects or first.poll() is not None, "no lease")
    status, refused = study.run()
    assert status == 2 and f"is in use by process {first.pid} on" in refused and "--name" in refused

    status, said = ended(first)
    report = ROOT / f"{NAME}.html"
    try:
        assert status == 0 and said.startswith(f"{NAME}: 1 configuration ")
        assert said.endswith(f"report: {report.name}\n")
        shown = report.read_text(encoding="utf-8")
    finally:
        report.unlink(missing_ok=True)
    assert study.states() and set(study.states().values()) == {"finished"}
    assert {row["state"] for row in study.rows("study")} == {"finished"}
    kept = {key.removeprefix(f"studies/{NAME}/").partition("/")[0] for key in server.objects if not key.endswith("/")}
    assert kept == {"study", "trials", "epochs", "images", "weights", "optuna", "driver", "study.toml"}
    assert not [key for key in server.objects if key.endswith("lease.json")]
    rows = "".join(repr(study.rows(kind)) for kind in ("study", "trials", "epochs"))
    everything = (refused, said, shown, rows, repr([data for _, data in server.objects.values()]))
    assert "s3://***@bucket/studies" in shown
    for text in everything:
        assert SECRET not in text and KEY not in text
