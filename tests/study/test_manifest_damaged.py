"""A manifest that cannot be read is never taken for one that is not there."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_manifest import manifest

from evae.errors import UserError
from evae.results.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "a")
    made.prepare()
    return made


def damage(file: Path, how: str) -> None:
    """What befalls files: copies that break off, disks that are full, bytes that turn, other files of that name."""
    if how == "cut off":
        file.write_bytes(file.read_bytes()[:700])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "other bytes":
        file.write_bytes(bytes(len(file.read_bytes())))
    elif how == "a folder":
        file.unlink()
        file.mkdir()
    elif how == "no rows":
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    elif how == "another table":
        pq.write_table(pa.table({"x": [1]}), file)
    elif how == "no identity":
        pq.write_table(pq.read_table(file).drop_columns(["identity"]), file)
    elif how == "broken identity":
        row = pq.read_table(file).to_pylist()[0]
        pq.write_table(pa.Table.from_pylist([row | {"identity": row["identity"][:-9]}]), file)


DAMAGES = ("cut off", "empty", "other bytes", "a folder", "no rows", "another table", "no identity", "broken identity")


@pytest.mark.parametrize("resume", ["auto", "never", "must"])
@pytest.mark.parametrize("how", DAMAGES)
def test_a_manifest_that_cannot_be_read_is_a_study_nevertheless(store, how, resume):
    manifest().write(store)
    (file,) = (Path(store.root) / "study").iterdir()
    damage(file, how)
    for other in (manifest(), manifest(latent=65)):
        with pytest.raises(UserError) as caught:
            other.check_continues(store, resume)
        said = str(caught.value)
        assert f"study/{file.name}" in said
        assert "Restore it from a copy" in said and "no study to continue" not in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_manifest_without_permission_is_a_study_nevertheless(store):
    manifest().write(store)
    (file,) = (Path(store.root) / "study").iterdir()
    file.chmod(0)
    with pytest.raises(UserError, match="ermission"):
        manifest().check_continues(store)


@pytest.mark.parametrize("resume", ["auto", "never", "must"])
@pytest.mark.parametrize(
    "what", ["trials/a.parquet", "epochs/a.parquet", "weights/a.safetensors", "checkpoints/a.safetensors"]
)
def test_trials_without_a_manifest_are_a_study_nevertheless(store, what, resume):
    folder, _, name = what.partition("/")
    store.write_bytes(folder, name, b"")
    with pytest.raises(UserError, match=rf"1 file\(s\) in {folder}/, but none in study/.*--name"):
        manifest().check_continues(store, resume)


def test_of_two_manifests_one_that_is_damaged_is_named_and_may_go(store):
    for made in (manifest(), manifest()):
        made.write(store)
    first, _ = sorted((Path(store.root) / "study").iterdir())
    first.write_bytes(b"")
    with pytest.raises(UserError, match=rf"{first.name}.*remove it where another session's file lies beside it"):
        manifest().check_continues(store)
    first.unlink()
    assert manifest().check_continues(store) == []
