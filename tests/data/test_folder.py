import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import noise, write_pictures

from evae.data import DataRecipe, ImageSet, load
from evae.errors import UserError


def folder(path: Path, **given: object) -> ImageSet:
    return load(DataRecipe(source=f"folder:{path}", **{"validation_images": 5} | given))


def everything(images: ImageSet) -> np.ndarray:
    return np.concatenate([images.train, images.validation, images.test])


def contents(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def png_header(width: int, height: int) -> bytes:
    """A PNG file that says it is this large, and has next to no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    parts = [struct.pack(">I", len(data)) + k + data + struct.pack(">I", zlib.crc32(k + data)) for k, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda path: None, "is not a folder"),
        (lambda path: path.write_bytes(b""), "is not a folder"),
        (lambda path: path.mkdir(), "has no pictures in it"),
        (lambda path: [path.mkdir(), (path / "notes.txt").write_text("no picture")], "has no pictures in it"),
        (
            lambda path: [path.mkdir(), (path / "x.png").write_text("no picture")],
            r"none of the 1 .*x\.png \(not a",
        ),
        (lambda path: write_pictures(path, 3), "too few pictures"),
    ],
    ids=["missing", "a file", "empty", "no pictures", "all broken", "too few"],
)
def test_a_folder_that_cannot_serve_is_refused(tmp_path, prepare, said):
    prepare(tmp_path / "given")
    with pytest.raises(UserError, match=said):
        folder(tmp_path / "given")


def test_broken_and_huge_files_are_left_out_by_name(tmp_path):
    write_pictures(tmp_path, 40)
    whole = folder(tmp_path)
    good = (tmp_path / "a" / "0-000.png").read_bytes()
    Image.fromarray(noise(50, 40, 3, seed=99)).save(tmp_path / "whole.jpg")
    bad = {
        "empty.jpg": b"",
        "text.webp": b"no picture",
        "half.png": good[: len(good) // 2],
        "half.JPG": (tmp_path / "whole.jpg").read_bytes()[:1500],
        "large.png": png_header(10_000, 10_000),
        "b/huge.png": png_header(60_000, 60_000),
    }
    (tmp_path / "whole.jpg").unlink()
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    images = folder(tmp_path)
    assert images.digest == whole.digest
    (note,) = (note for note in images.notes if "left out" in note)
    assert note.startswith("6 files left out")
    assert all(name in note for name in bad)
    assert note.count("too large") == 2


def test_broken_files_are_replaced_by_the_next_up_to_the_cap(tmp_path):
    write_pictures(tmp_path, 80)
    before = folder(tmp_path, train_images=20)
    for path in sorted(tmp_path.rglob("*.png"))[::4]:
        path.write_bytes(path.read_bytes()[:3000])
    after = folder(tmp_path, train_images=20)
    assert (len(after.train), len(after.validation)) == (len(before.train), len(before.validation)) == (20, 5)


def test_long_lists_of_broken_files_are_shortened(tmp_path):
    write_pictures(tmp_path, 40)
    for number in range(30):
        (tmp_path / f"bad-{number:02}.png").write_text("no picture")
    assert "bad-19.png" in folder(tmp_path).notes[-1]
    assert folder(tmp_path).notes[-1].endswith("; and 10 more")


def test_adding_files_moves_no_file_from_one_side_to_the_other(tmp_path):
    write_pictures(tmp_path, 60)
    before = folder(tmp_path)
    write_pictures(tmp_path, 60, seed=1)
    after = folder(tmp_path)
    assert len(everything(after)) == 120
    assert contents(before.test) < contents(after.test)
    assert not contents(before.train) & contents(after.test)


def test_the_split_depends_on_names_below_the_folder_only(tmp_path):
    write_pictures(tmp_path / "here", 40)
    shutil.copytree(tmp_path / "here", tmp_path / "there" / "deeper")
    assert folder(tmp_path / "here").digest == folder(tmp_path / "there" / "deeper").digest


def test_copies_of_a_picture_are_taken_once(tmp_path):
    write_pictures(tmp_path, 40)
    for number in range(20):
        shutil.copy(tmp_path / "a" / "0-000.png", tmp_path / f"copy-{number}.png")
    images = folder(tmp_path)
    assert len(everything(images)) == len(contents(everything(images))) == 40
    assert "20 files left out" in images.notes[-1]
    assert "same pixels as" in images.notes[-1]


def test_mixed_sizes_are_cut_to_the_middle_and_told(tmp_path):
    """Red sides and a green square in the middle, in all sizes: nothing red may be left."""
    for number in range(60):
        extent = 30 + number
        picture = Image.new("RGB", (extent, extent + 40) if number % 2 else (extent + 40, extent), "red")
        square = Image.new("RGB", (extent, extent), (0, 100 + number, 0))
        picture.paste(square, (0, 20) if number % 2 else (20, 0))
        picture.save(tmp_path / f"{number}.png")
    images = folder(tmp_path, image_size=32)
    assert len(everything(images)) == 60
    assert not everything(images)[:, 0].any()
    assert "60 sizes of picture, 31-128 x 30-129 px: centre crop, then resize" in images.notes


def test_pad_cuts_nothing(tmp_path):
    for number in range(40):
        Image.new("L", (20, 10), 100 + number).save(tmp_path / f"small-{number}.png")
        Image.new("L", (80, 40), 10 + number).save(tmp_path / f"large-{number}.png")
    for image in everything(folder(tmp_path, image_size=32, fit="pad"))[:, 0]:
        value = image.max()
        box = (slice(11, 21), slice(6, 26)) if value >= 100 else (slice(8, 24), slice(0, 32))
        expected = np.zeros((32, 32), np.uint8)
        expected[box] = value
        assert np.array_equal(image, expected)


@pytest.mark.parametrize(
    ("size", "expected"), [((32, 32), 32), ((64, 64), 64), ((48, 48), 64), ((32, 40), 64), ((200, 200), 64)]
)
def test_the_size_is_derived(tmp_path, size, expected):
    write_pictures(tmp_path, 40, size)
    assert folder(tmp_path).image_size == expected


def test_pictures_of_the_size_asked_for_are_kept_to_the_pixel(tmp_path):
    write_pictures(tmp_path, 40, (32, 32))
    originals = [np.asarray(Image.open(path)).transpose(2, 0, 1) for path in tmp_path.rglob("*.png")]
    assert contents(everything(folder(tmp_path))) == contents(np.stack(originals))


@pytest.mark.parametrize(("colourful", "channels"), [(0, 1), (1, 3)])
def test_channels_are_grey_only_where_all_pictures_are(tmp_path, colourful, channels):
    for number in range(40):
        Image.fromarray(noise(32, 32, seed=number)).save(tmp_path / f"{number}.png")
    Image.fromarray(noise(32, 32, seed=50)).convert("P").save(tmp_path / "palette.gif")
    for number in range(colourful):
        Image.fromarray(noise(32, 32, 3, seed=number)).save(tmp_path / f"colour-{number}.bmp")
    images = folder(tmp_path)
    assert images.channels == channels
    assert len(everything(images)) == 41 + colourful


@pytest.fixture
def only(tmp_path):
    """The pixels that a picture among others comes to: it is found as the one that the others do not have."""
    write_pictures(tmp_path, 40, (32, 32))

    def find(name: str, channels: int = 3) -> np.ndarray:
        path = tmp_path / name
        with_it = everything(folder(tmp_path, channels=channels))
        path.unlink()
        without = contents(everything(folder(tmp_path, channels=channels)))
        (image,) = (image for image in with_it if image.tobytes() not in without)
        return image

    return tmp_path, find


def test_exif_orientation_is_applied(only):
    path, find = only
    picture = Image.new("L", (32, 32), 0)
    picture.paste(255, (0, 0, 32, 16))  # white above black
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise for display: white comes to the right
    picture.save(path / "turned.jpg", exif=exif, quality=95)
    image = find("turned.jpg")
    assert image[:, :, 18:].min() > 250
    assert image[:, :, :14].max() < 5


def test_transparency_is_laid_over_white(only):
    path, find = only
    Image.fromarray(np.dstack([noise(32, 32, 3), np.zeros((32, 32), np.uint8)])).save(path / "clear.png")
    assert (find("clear.png") == 255).all()


def test_sixteen_bits_are_scaled_to_eight(only):
    path, find = only
    ramp = (np.arange(1024).reshape(32, 32) * 64).astype(np.uint16)
    Image.fromarray(ramp).save(path / "deep.png")
    assert np.array_equal(find("deep.png", channels=1)[0], np.round(ramp / 257).astype(np.uint8))


def test_an_animation_gives_its_first_frame(only):
    path, find = only
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("blue", "red")]
    frames[0].save(path / "moving.gif", save_all=True, append_images=frames[1:])
    assert find("moving.gif")[:, 0, 0].tolist() == [0, 0, 255]


LATIN_1 = os.fsdecode(b"caf\xe9\n[red].png")


def test_names_are_bytes_and_split_by_them(tmp_path):
    write_pictures(tmp_path, 40, (32, 32))
    Image.fromarray(noise(32, 32, 3, seed=77)).save(tmp_path / "new.png")
    os.rename(tmp_path / "new.png", tmp_path / LATIN_1)
    (tmp_path / os.fsdecode(b"\xff.png")).write_text("no picture")
    images = folder(tmp_path)
    assert len(everything(images)) == 41
    assert folder(tmp_path).digest == images.digest
    assert r"1 file left out: \xff.png (not a picture, or damaged)" in images.notes


def test_a_folder_of_any_name_is_described_in_letters_that_can_be_stored(tmp_path):
    plain = tmp_path / "plain"
    write_pictures(plain, 40)
    given = tmp_path / os.fsdecode(b"caf\xe9\n")
    shutil.copytree(plain, given)
    images = folder(given)
    assert images.digest == folder(plain).digest
    assert images.name == f"folder:{tmp_path}/caf\\xe9\\n"
    assert json.dumps(images.describe(), ensure_ascii=False).encode()
    for path, said in ((given / "a" / "0-000.png", "is not a folder"), (given / "none", "is not a folder")):
        with pytest.raises(UserError, match=said) as caught:
            folder(path)
        assert str(caught.value).isprintable()
    with pytest.raises(UserError, match="give at most") as caught:
        folder(given, validation_images=1000)
    assert str(caught.value).isprintable()


def test_whatever_pillow_opens_is_a_picture(tmp_path):
    kinds = {"a.pgm": "PPM", "b.PPM": "PPM", "c.jfif": "JPEG", "d.jp2": "JPEG2000", "e.tga": "TGA", "f.pcx": "PCX"}
    kinds |= {"g.avif": "AVIF", "h.dib": "DIB", "i": "PNG", "j.ico": "ICO", "k.sgi": "SGI", "0123abcd": "JPEG"}
    write_pictures(tmp_path, 40, (32, 32))
    for number, (name, kind) in enumerate(kinds.items()):
        grey = name == "a.pgm"
        Image.fromarray(noise(32, 32, *([] if grey else [3]), seed=100 + number)).save(tmp_path / name, format=kind)
    for name in ("README", "labels.txt", "more.txt", "film.mpg"):
        (tmp_path / name).write_text("no picture")
    images = folder(tmp_path)
    assert len(everything(images)) == 40 + len(kinds)
    said = "4 files that are no pictures by their endings: 2 .txt, 1 .mpg, 1 without an ending"
    assert images.notes[2:] == (said,)


def test_linked_folders_are_followed_without_doubling(tmp_path):
    write_pictures(tmp_path / "set", 40)
    write_pictures(tmp_path / "elsewhere", 30, seed=1)
    before = folder(tmp_path / "set")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "set" / "same").symlink_to(tmp_path / "set" / "a", target_is_directory=True)
    (tmp_path / "elsewhere" / "cycle").symlink_to(tmp_path / "set", target_is_directory=True)
    images = folder(tmp_path / "set")
    assert len(everything(images)) == len(contents(everything(images))) == 70
    assert contents(before.test) < contents(images.test)
    assert "links followed: 1 folder (linked/)" in images.notes
    assert "same/ left out: a link to the same folder as a/" in images.notes


def test_thumbnails_and_hidden_files_are_nobodys(tmp_path):
    write_pictures(tmp_path / "set", 40)
    before = folder(tmp_path / "set")
    for place in (".thumbnails", "@eaDir/1.png", "a/__MACOSX"):
        write_pictures(tmp_path / "set" / place, 4, (16, 16))
    Image.new("RGB", (16, 16)).save(tmp_path / "set" / "._0.png")
    images = folder(tmp_path / "set")
    assert images.digest == before.digest
    said = "hidden files, thumbnails and the like left out: ._0.png, .thumbnails/, @eaDir/ and 1 more"
    assert images.notes == (*before.notes, said)


def test_frames_stacks_and_strips_are_named(tmp_path):
    write_pictures(tmp_path, 40)
    first, second = (Image.fromarray(noise(40, 40, 3, seed=seed)) for seed in (200, 201))
    for name in ("moving.gif", "moving.webp", "moving.apng", "stack.tif"):
        kind = "PNG" if name.endswith("apng") else None
        first.save(tmp_path / name, format=kind, save_all=True, append_images=[second])
    Image.fromarray(noise(1, 500, 3, seed=202)).save(tmp_path / "strip.png")
    Image.fromarray(noise(170, 40, 3, seed=203)).save(tmp_path / "tall.png")
    images = folder(tmp_path)
    assert (
        "of several frames or pages the first is used: 4 files (moving.apng, moving.gif, moving.webp and 1 more)"
        in (images.notes)
    )
    named = "2 pictures (strip.png 500 x 1 px, tall.png 40 x 170 px)"
    assert f"more than 4 times as long as wide, only the middle square is used: {named}" in images.notes
    padded = folder(tmp_path, fit="pad")
    assert f"more than 4 times as long as wide, shrunk to a narrow strip: {named}" in padded.notes
    assert all(image.any() for image in everything(padded))


def test_a_whole_first_frame_is_used_whatever_follows(tmp_path):
    write_pictures(tmp_path, 40, (32, 32))
    first, second = (Image.fromarray(noise(32, 32, seed=seed)) for seed in (200, 201))
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    content = (tmp_path / "moving.gif").read_bytes()
    (tmp_path / "moving.gif").write_bytes(content[: len(content) * 3 // 4])
    assert len(everything(folder(tmp_path))) == 41


def test_too_few_says_why(tmp_path):
    """As many files as are wanted, and hardly a picture in them."""
    for number in range(60):
        Image.new("L", (32, 32)).save(tmp_path / f"{number}.png")
    for number in range(5):
        (tmp_path / f"broken-{number}.jpg").write_text("no picture")
    (tmp_path / "raw.nef").write_text("no picture of Pillow's")
    write_pictures(tmp_path / ".hidden", 30)
    with pytest.raises(UserError, match="too few pictures: ") as caught:
        folder(tmp_path)
    said = str(caught.value)
    assert "59 files (0.png, 1.png, 10.png and 56 more) have the same pixels as another" in said
    assert "5 cannot be used: broken-0.jpg (not a picture, or damaged); " in said
    assert "1 file that is no picture by its ending: 1 .nef" in said
    assert ".hidden/" in said


def test_too_few_for_the_validation_says_why(tmp_path):
    write_pictures(tmp_path, 40)
    for number in range(100):
        shutil.copy(tmp_path / "a" / "0-000.png", tmp_path / f"copy-{number}.png")
    with pytest.raises(
        UserError, match=r"validation_images is 50,.*100 files .* have the same pixels.*give at most \d+$"
    ):
        folder(tmp_path, validation_images=50)


def test_a_folder_without_pictures_says_what_is_there(tmp_path):
    for name in ("a.heic", "b.heic", "c.npy", ".d.png", "README"):
        (tmp_path / name).write_text("something")
    with pytest.raises(UserError, match="has no pictures in it, at any depth") as caught:
        folder(tmp_path)
    assert "4 files that are no pictures by their endings: 2 .heic, 1 .npy, 1 without an ending" in str(caught.value)
    assert ".d.png" in str(caught.value)


def test_pixels_beside_broken_exif_are_used(tmp_path):
    bad = b"eXIf\x00\x08\x00\x02\x01\x12\x00\x03"
    chunk = struct.pack(">I", 8) + bad + struct.pack(">I", zlib.crc32(bad))
    write_pictures(tmp_path, 40)
    before = folder(tmp_path)
    for path in tmp_path.rglob("*.png"):
        content = path.read_bytes()
        at = content.index(b"IDAT") - 4
        path.write_bytes(content[:at] + chunk + content[at:])
    assert folder(tmp_path).digest == before.digest
    assert folder(tmp_path).notes == before.notes


def test_a_home_that_does_not_exist_is_no_folder():
    with pytest.raises(UserError, match="no home folder is known"):
        folder(Path("~nobody-of-this-name/pictures"))
