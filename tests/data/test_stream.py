"""Images that stay in their files are the images in memory, and cost the memory of a few batches."""

import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_sets import noise, write_pictures

from evae.data import DataRecipe, ImageSet, load, room
from evae.data.ahead import DEPTH, ahead
from evae.data.bare import File
from evae.data.files import Files
from evae.data.pixels import rows
from evae.data.stream import PictureLost, Stream
from evae.errors import UserError

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures in two classes, one of them twice, and a broken file."""
    folder = tmp_path_factory.mktemp("given")
    write_pictures(folder, 60)
    (folder / "a" / "again.png").write_bytes((folder / "a" / "0-000.png").read_bytes())
    (folder / "broken.png").write_text("no picture")
    return folder


def both(folder: Path, **given: object) -> tuple[ImageSet, ImageSet]:
    recipe = DataRecipe(source=f"folder:{folder}", **{"validation_images": 5} | given)
    return load(recipe, stream="never"), load(recipe, stream="always")


@pytest.mark.parametrize("given", [{}, {"fit": "pad"}, {"fit": "tiles", "image_size": 16}, {"train_images": 7}])
def test_they_are_the_images_in_memory_with_the_same_digest_and_notes(pictures, given):
    memory, stream = both(pictures, **given)
    assert (memory.streamed, stream.streamed) == (False, True)
    for split in SPLITS:
        mine, other = getattr(stream, split), getattr(memory, split)
        assert isinstance(mine, Stream) and (mine.shape, mine.dtype, mine.nbytes) == (
            other.shape,
            other.dtype,
            other.nbytes,
        )
        assert np.array_equal(mine[:], other)
    assert stream.describe() == memory.describe()
    assert stream.labels.digest == memory.labels.digest


def test_rows_and_parts_are_those_of_the_array(pictures):
    memory, stream = both(pictures)
    index = torch.tensor([3, 0, 3, 11])
    assert torch.equal(rows(stream.train, index), rows(memory.train, index))
    assert torch.equal(rows(stream.train, slice(2, 5)), rows(memory.train, slice(2, 5)))
    part = pickle.loads(pickle.dumps(stream.train.part(np.array([4, 1]))))
    assert np.array_equal(part[:], memory.train[[4, 1]])
    assert len(part[1:1]) == 0


@dataclass(frozen=True)
class Counting:
    """Files that know which pictures were opened."""

    files: Files
    opened: list[int] = field(default_factory=list)

    @property
    def names(self):
        return self.files.names

    def file(self, number: int) -> File:
        self.opened.append(number)
        return self.files.file(number)


def test_a_few_batches_are_read_ahead_and_no_others(pictures):
    memory, stream = both(pictures)
    counting = Counting(stream.train.files)
    counted = replace(stream.train, files=counting)
    batches = list(torch.randperm(len(counted))[:40].split(4))
    for taken, (batch, which) in enumerate(zip(ahead(counted, batches), batches, strict=True), 1):
        assert torch.equal(batch, rows(memory.train, which))
        assert len(counting.opened) <= 4 * (taken + DEPTH)
    assert sorted(counting.opened) == sorted(counted.pictures[torch.cat(batches).numpy()])


def test_who_stops_early_reads_no_further(pictures):
    _, stream = both(pictures)
    counting = Counting(stream.train.files)
    read = ahead(replace(stream.train, files=counting), list(torch.arange(40).split(4)))
    next(read)
    read.close()
    assert len(counting.opened) <= 4 * (DEPTH + 1)


def test_files_that_are_gone_changed_or_damaged_are_named(tmp_path):
    write_pictures(tmp_path, 40)
    _, stream = both(tmp_path)
    names = [stream.train.files.names[number] for number in stream.train.pictures[:3]]
    gone, changed, damaged = (tmp_path / name for name in names)
    gone.unlink()
    Image.fromarray(noise(50, 40, 3, seed=77)).save(changed)
    damaged.write_bytes(damaged.read_bytes()[:500])
    for i, (name, said) in enumerate(zip(names, ("No such file", "other pixels", "truncated"), strict=True)):
        with pytest.raises(PictureLost, match=said) as caught:
            stream.train[i : i + 1]
        assert name in str(caught.value)
    with pytest.raises(PictureLost, match=names[0]):
        list(ahead(stream.train, list(torch.arange(len(stream.train)).split(10))))


def test_who_decides_is_the_memory_that_is_free(pictures, monkeypatch):
    recipe = DataRecipe(source=f"folder:{pictures}", validation_images=5)
    size = load(recipe, stream="never").nbytes
    assert room.free_bytes() > 0
    for free, streamed in ((room.SHARE * size // 2, True), (room.SHARE * (size + 10**6), False)):
        monkeypatch.setattr(room, "free_bytes", lambda free=free: free)
        assert load(recipe).streamed == streamed
    with pytest.raises(UserError, match="Did you mean 'always'"):
        load(recipe, stream="alway")
    with pytest.raises(UserError, match="in memory alone"):
        load(DataRecipe(), stream="always")
