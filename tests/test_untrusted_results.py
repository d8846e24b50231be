"""Results written by somebody else run no code here: each test tries to make them."""

import ast
import os
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tiny import tiny_images, tiny_recipe

from analysis.study.load import load as load_study
from evae.checkpoints import load_model, restore_training
from evae.cluster.worker import Worker
from evae.errors import UserError
from evae.ranks import Ranks
from evae.results.store import KINDS, Store
from evae.training import Training

ROOT = Path(__file__).parents[1]
RUNS_CODE = {
    *(f"{module}.{name}" for module in ("pickle", "cloudpickle", "dill", "marshal") for name in ("load", "loads")),
    *("pickle.Unpickler", "joblib.load", "shelve.open", "yaml.load", "yaml.unsafe_load"),
    *("eval", "exec", "torch.jit.load", "torch.hub.load", "pd.read_pickle", "pandas.read_pickle"),
}
"""Calls that can run what is in a file."""
PROGRAMS = {"plugins.py": ["exec(compile(plugin.source, place, 'exec'), module.__dict__)"]}
"""Those that are there to run one: a plug-in, which the user's own command names and no result does."""


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path) -> Path:
    return tmp_path / "it ran"


@pytest.fixture(params=["pickle", "torch"])
def bomb(request, mark, tmp_path) -> bytes:
    """A file that runs code when it is unpickled, as a bare pickle and as torch's own archive; tried here first."""
    file = tmp_path / "bomb"
    if request.param == "pickle":
        file.write_bytes(pickle.dumps(Bomb(mark)))
        pickle.loads(file.read_bytes())
    else:
        torch.save({"model": Bomb(mark)}, file)
        torch.load(file, weights_only=False)
    assert mark.exists()
    mark.rmdir()
    return file.read_bytes()


def test_weights_that_are_a_pickle_are_refused_unopened(bomb, mark, tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(bomb)
    with pytest.raises(UserError, match="not a checkpoint"):
        load_model(str(file))
    assert not mark.exists()


def test_a_checkpoint_that_is_a_pickle_is_refused_and_its_trial_begins_anew(bomb, mark):
    with pytest.raises(UserError, match="not a checkpoint"):
        restore_training(Training(tiny_recipe(), tiny_images()), bomb)
    worker = Worker(tiny_images(), {}, torch.device("cpu"), 1, Ranks(0, 1))
    assert worker.begin(tiny_recipe().to_dict(), bomb).epochs == 0
    assert not mark.exists()


def pickled_everywhere(mark: Path) -> pa.Table:
    """Pickles where pyarrow or pandas might look for them: a type of its own, the schema, a column."""
    data = pickle.dumps(Bomb(mark))
    named = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": data}
    fields = [pa.field("session", pa.string()), pa.field("trial", pa.string())]
    fields.append(pa.field("label", pa.binary(), metadata=named))
    schema = pa.schema(fields, metadata={b"pandas": b'{"columns": [{"name": "label", "pandas_type": "object"}]}'})
    return pa.table([["a-s0"], ["a-s0"], [data]], schema=schema)


def test_pickles_in_parquet_stay_bytes(mark, tmp_path):
    store = Store(tmp_path / "study")
    store.prepare()
    for kind in KINDS:
        pq.write_table(pickled_everywhere(mark), store.path(kind, "a-s0.parquet"))
        assert store.read(kind).num_rows == len(store.rows(kind, "a-s0")) == 1
    study = load_study(store.location)
    (shown,) = study.trials["label"]
    assert list(study.trials["trial"]) == ["a-s0"] and str(mark) in shown and "mkdir" in shown
    assert not mark.exists()


def called(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def dangers(source: str) -> list[str]:
    """The calls in a file that may run what they read."""
    found = []
    for name, call in called(ast.parse(source)):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if name in RUNS_CODE or (name == "torch.load" and given.get("weights_only") != "True"):
            found.append(ast.unparse(call))
        if given.get("allow_pickle", "False") != "False":
            found.append(ast.unparse(call))
    return found


def test_no_file_of_the_project_unpickles():
    files = [
        file for folder in ("evae", "analysis", "studies", "search_spaces") for file in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 50
    assert {file.name: found for file in files if (found := dangers(file.read_text()))} == PROGRAMS


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "pickle.loads(x)",
        "np.load(f, allow_pickle=True)",
        "eval(x)",
    ],
)
def test_that_search_finds_what_it_looks_for(line):
    assert dangers(f"def read(f, x):\n    return {line}") == [line]
