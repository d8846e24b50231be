"""What every data source shares: the recipe, what a source hands over, and the finished image set."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np

from evae.data.curves import Curve
from evae.data.labels import Labels
from evae.data.names import shown
from evae.errors import UserError, unknown
from evae.registry import Registry
from evae.sizes import ImageSize, in_px, sides, size_of

if TYPE_CHECKING:
    from evae.data.stream import Split

SMALLEST_IMAGE_PX = 8
FITS = ("resize", "pad", "tiles")
KINDS = ("images", "signals", "points")
"""Of data: images of bytes, (n, channels, height, width); signals, images of real numbers about 0 of variance 1;
or points of a few real numbers each, (n, d, 1, 1)."""
CHUNK_IMAGES = 256
VALIDATION_IMAGES = 500
"""How many validation images are enough to rank configurations by."""

Read = TypeVar("Read", bound=Callable)
Kind = str | Callable[[str], str]


@dataclass(frozen=True)
class Source:
    """A data source: `read(recipe, root)` returns its images as `Raw`. Only one that has a `path` is given one, as in
    folder:PATH; some can do without. Its `kind` is one of `KINDS`, or a function of the path that says which. One that
    `streams` takes a third argument: whether so many bytes of images are to be kept in memory (`evae.data.room`); where
    they are not, its images are a `Stream`.
    """

    read: Callable[..., "Raw"]
    path: bool | Literal["optional"]
    kind: Kind = "images"
    streams: bool = False


SOURCES: Registry[Source] = Registry("data source")


def data_source(
    name: str, *, path: bool | Literal["optional"] = False, kind: Kind = "images", streams: bool = False
) -> Callable[[Read], Read]:
    """A decorator for a function `read(recipe, root)` that returns `Raw`: a source of this name, or name:PATH, of
    "images", "signals" or "points" (see `Source`). Raises UserError for another kind.
    """
    if isinstance(kind, str) and kind not in KINDS:
        raise unknown("kind of data", kind, KINDS)

    def register(read: Read) -> Read:
        SOURCES.add(name, Source(read, path, kind, streams), written=read)
        return read

    return register


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """Which images, in which shape, and how many in each split.

    `source` is a name in `SOURCES`, "folder:PATH" for any folder of pictures, or "shards:PATTERN". `image_size` (px,
    the side of squares, or (height, width)) and `channels` (1 grey, 3 RGB) are derived from the source where they are
    None; images of other channels have their own. `fit` says how pictures of another size come to `image_size`:
    "resize" cuts the largest centred part of these proportions out and scales it (bilinear, antialiased, as Qin &
    Huang, arXiv 2405.12783v2, do); "pad" puts zeros around and cuts or enlarges nothing, but shrinks what is too large;
    "tiles", of sources of files alone, cuts pictures into pieces of that size with their own pixels, all of one picture
    in the same split. `train_images` and `test_images` are caps.
    `validation_images` are taken out of the training images before the cap: by default `VALIDATION_IMAGES`, or an
    eighth of what is there where that is fewer. Where a source has validation images of its own, they are taken
    from these: by default `VALIDATION_IMAGES`, or all where they are fewer. `horizontal_flip` asks the training
    loop to mirror images at random. Of points, only the counts mean anything.

    Raises UserError for values outside their range, for unknown names, and for what points do not have.
    """

    source: str = "mnist-5k"
    image_size: ImageSize | None = None
    channels: int | None = None
    fit: str = "resize"
    train_images: int | None = None
    validation_images: int | None = None
    test_images: int | None = None
    horizontal_flip: bool = False

    def __post_init__(self) -> None:
        if self.name not in SOURCES:
            raise unknown("data source", shown(self.name), SOURCES)
        takes_path = SOURCES[self.name].path
        if takes_path is True and not self.path:
            raise UserError(f"the data source {self.name!r} needs a path: give {self.name}:PATH")
        if not takes_path and ":" in self.source:
            raise UserError(f"the data source {self.name!r} takes no path; use folder:{shown(self.path)}")
        if self.kind == "points":
            self._check_points()
        if self.fit not in FITS:
            raise unknown("fit", self.fit, FITS)
        if self.fit == "tiles" and not SOURCES[self.name].streams:
            raise UserError(f"the data source {self.name!r} has no picture files to cut into tiles: let fit be resize")
        if self.channels not in (None, 1, 3):
            raise UserError(f"channels must be 1 (grey) or 3 (RGB), got {self.channels}")
        if self.image_size is not None:
            self._check_size(self.image_size)
        for key in ("train_images", "validation_images", "test_images"):
            if (count := getattr(self, key)) is not None and count < 1:
                raise UserError(f"{key} must be at least 1, got {count}")

    def _check_size(self, size: ImageSize) -> None:
        if isinstance(size, tuple) and len(size) != 2:
            raise UserError(f"image_size is a side, or height and width, in pixels; got {' '.join(map(str, size))}")
        if min(sides(size)) < SMALLEST_IMAGE_PX:
            raise UserError(f"image_size must be at least {SMALLEST_IMAGE_PX} px, got {in_px(size)}")
        object.__setattr__(self, "image_size", size_of(*sides(size)))

    def _check_points(self) -> None:
        default = {item.name: item.default for item in fields(self)}
        for key in ("image_size", "channels", "fit", "horizontal_flip"):
            if getattr(self, key) != default[key]:
                raise UserError(f"{key} is of images, and {shown(self.source)} is points: leave it out")

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        kind = SOURCES[self.name].kind
        return kind if isinstance(kind, str) else kind(self.path)

    @property
    def name(self) -> str:
        """The source without its path."""
        return self.source.partition(":")[0]

    @property
    def path(self) -> str:
        """The PATH of folder:PATH, else empty."""
        return self.source.partition(":")[2]


class Images(Protocol):
    """uint8 images (n, c, h, w), decoded when a slice of them is taken: an array, or a `Stream`."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: slice, /) -> np.ndarray: ...


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The model that made the points of a set: the `curve`, and by the name of a split, "validation" or "test", of each
    of its points ln p(x) in nats (n,), and the mean of its latent given the point (n,).
    """

    curve: Curve
    log_density: Mapping[str, np.ndarray]
    latent_means: Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What a source hands over: its images in a fixed random order, in any size and with any number of channels.

    The splits are prefixes of that order, so that a smaller cap gives a subset of a larger one. Without a
    `validation` of its own, the first `validation_images` of `train` become it. `image_size` and `channels`
    are those the source proposes where the recipe does not say. `reasons` say why there are fewer images than
    files, where that is so. `labels` are the classes of a split's images by the split's name, integers (n,), where
    they are known, -1 for an image without; `classes` are their names, by default the numbers.

    Where the `kind` is "signals", they are float32. Where it is "points", they are float32 (n, d, 1, 1), `image_size`
    is 1 and `channels` d. The `truth` is the model that made them, where it is known, and what it says of all held-out
    points, in their order; there must then be a `validation`.
    """

    train: Images
    test: Images
    validation: Images | None = None
    image_size: ImageSize
    channels: int
    notes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    kind: str = "images"
    truth: Truth | None = None


@dataclass(frozen=True)
class ImageSet:
    """Images ready for training: three uint8 arrays (n, c, h, w), contiguous in C order and not writeable; or each a
    `Stream`, whose images stay in their files. Where the `kind` is "signals", they are float32, and where it is
    "points", float32 (n, d, 1, 1), and where the model that made them is known, it is the `truth`.

    `name` is the recipe's source in letters that can be shown. `digest` is 16 hex digits of the SHA-256 over
    shapes and content of the three splits. `notes` says how the splits were made and which files were skipped. `labels`
    are None where at most one class of the training images is known.
    """

    train: "Split"
    validation: "Split"
    test: "Split"
    name: str
    digest: str
    fit: str
    notes: tuple[str, ...]
    labels: Labels | None = None
    kind: str = "images"
    truth: Truth | None = None

    @property
    def image_size(self) -> ImageSize:
        """In px; 1 of points."""
        return size_of(*self.train.shape[2:])

    @property
    def channels(self) -> int:
        """1 (grey), 3 (RGB) or another number; of points, how many numbers each has."""
        return self.train.shape[1]

    @property
    def streamed(self) -> bool:
        """Whether the images stay in their files."""
        return not isinstance(self.train, np.ndarray)

    @property
    def nbytes(self) -> int:
        """What the images take in memory, or would take."""
        return sum(split.nbytes for split in (self.train, self.validation, self.test))

    def describe(self) -> dict[str, Any]:
        """The entry for a study's manifest: plain strings, numbers and a list."""
        labels = self.labels
        labelled = {} if labels is None else {"n_classes": len(labels.classes), "labels_digest": labels.digest}
        return {
            "source": self.name,
            "digest": self.digest,
            "image_size": self.image_size,
            "channels": self.channels,
            "n_train": len(self.train),
            "n_validation": len(self.validation),
            "n_test": len(self.test),
            "fit": self.fit,
            **({} if self.kind == "images" else {"kind": self.kind}),
            **labelled,
            "notes": list(self.notes),
        }


def content_digest(splits: "Sequence[Split]") -> str:
    """16 hex digits that name these arrays: SHA-256 over each one's shape and bytes."""
    digest = hashlib.sha256()
    for split in splits:
        digest.update(repr(split.shape).encode())
        for first in range(0, len(split), CHUNK_IMAGES):
            digest.update(np.ascontiguousarray(split[first : first + CHUNK_IMAGES]).data)
    return digest.hexdigest()[:16]


def shuffled(count: int) -> np.ndarray:
    """A permutation of range(count): always the same one for a count. Shape (count,), int64."""
    return np.random.default_rng(20240521).permutation(count)
