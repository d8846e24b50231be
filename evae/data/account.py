"""What became of the files of a folder, in words: for the notes of an image set, and for error messages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from evae.data.names import listed, shown
from evae.data.walk import Found
from evae.sizes import ImageSize, sides

STRETCHED = 4
"""How many times as long as wide a picture is that the notes name, beside images: they show little of it."""
HOW = {
    "resize": "centre crop, then resize",
    "pad": "zeros around, shrunk where too large",
    "tiles": "cut into tiles about the middle",
}
"""What becomes of pictures of another size, by the recipe's `fit`."""
NAMES_SHOWN = 20
REASONS_SHOWN = 3


class Header(NamedTuple):
    """What a picture's header says: (width, height) in px, whether it is grey, and whether there are more frames."""

    size: tuple[int, int]
    grey: bool
    several: bool


@dataclass
class Account:
    """Every file is in one of these, by its name relative to the folder.

    `headers` are those of the pictures to be used, `outside` those that a split leaves out, `broken` says why
    a file cannot be used, `copies` which one has the same pixels, and `found` what was not looked at.
    """

    found: Found
    headers: dict[str, Header] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.broken |= self.found.left_out

    def leave_out(self, outside: Sequence[str]) -> None:
        """These pictures are in no split."""
        self.outside += outside
        for name in outside:
            del self.headers[name]

    def notes(self, size: ImageSize, fit: str) -> list[str]:
        """What is to be known of the images: what was made of the pictures, and which files were left out."""
        notes = []
        kinds = {header.size for header in self.headers.values()}
        height, width = sides(size)
        if kinds != {(width, height)}:
            how = HOW[fit]
            widths, heights = zip(*kinds, strict=True)
            extent = f"{min(widths)}-{max(widths)} x {min(heights)}-{max(heights)} px"
            notes.append(f"{len(kinds)} sizes of picture, {extent}: {how}")
        sizes = [(name, *header.size) for name, header in self.headers.items()]
        beside = [(f"{name} {w} x {h} px", w * height, h * width) for name, w, h in sizes]
        stretched = [said for said, w, h in beside if max(w, h) > STRETCHED * min(w, h)]
        if stretched and fit != "tiles":
            part, wide = ("square", "wide") if height == width else ("part", "images are")
            shown_as = f"only the middle {part} is used" if fit == "resize" else "shrunk to a narrow strip"
            notes.append(f"more than {STRETCHED} times as long as {wide}, {shown_as}: {_counted(stretched, 'picture')}")
        if several := [name for name, header in self.headers.items() if header.several]:
            notes.append(f"of several frames or pages the first is used: {_counted(several, 'file')}")
        if self.found.links:
            notes.append(f"links followed: {_counted(self.found.links, 'folder')}")
        notes += self._outside() + self.found.passed_over()
        if unused := self.unused():
            count = len(self.broken) + len(self.copies)
            notes.append(f"{count} {'file' if count == 1 else 'files'} left out: {unused}")
        return notes

    def reasons(self) -> list[str]:
        """Why there are fewer images than files, in a few words each."""
        reasons = []
        if self.copies:
            have = "has" if len(self.copies) == 1 else "have"
            reasons.append(f"{_counted(list(self.copies), 'file')} {have} the same pixels as another")
        if self.broken:
            reasons.append(f"{len(self.broken)} cannot be used: {_named(self.broken, REASONS_SHOWN)}")
        return reasons + self._outside() + self.found.passed_over()

    def unused(self) -> str:
        """Each file that was looked at and left out, with the reason; up to `NAMES_SHOWN` of them."""
        copies = {name: f"same pixels as {shown(other)}" for name, other in self.copies.items()}
        return _named(self.broken | copies, NAMES_SHOWN)

    def _outside(self) -> list[str]:
        if not self.outside:
            return []
        return [f"outside of the split's folders and left out: {_counted(self.outside, 'picture')}"]


def _counted(names: Sequence[str], what: str) -> str:
    return f"{len(names):,} {what if len(names) == 1 else f'{what}s'} ({listed(sorted(names))})"


def _named(unused: dict[str, str], limit: int) -> str:
    named = [f"{shown(name)} ({shown(why)})" for name, why in sorted(unused.items())]
    more = len(named) - limit
    return "; ".join(named[:limit]) + (f"; and {more} more" if more > 0 else "")
