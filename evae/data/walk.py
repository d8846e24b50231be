"""What lies below a folder of pictures: which files are to be looked at, and what is passed over."""

import os
from collections import Counter
from dataclasses import dataclass, field

from PIL import Image

from evae.data.names import listed, shown
from evae.data.pictures import NO_PICTURES

ENDINGS_LISTED = 5
FOLDERS_NAMED = 3
# What systems and programs put between a user's files, beside all that begins with a dot. In lower case.
NOBODYS = frozenset(["__macosx", "$recycle.bin", "lost+found", "system volume information"])
NOBODYS |= {"thumbs", "_thumbs", "thumbnail", "thumbnails", "_thumbnails"}  # not thumb, which is a finger too
NOBODYS |= {"@eadir", "@recently-snapshot", "@recycle", "@tmp", "#recycle", "#snapshot"}  # disk stations


@dataclass
class Found:
    """Names relative to the folder, with "/" between their parts, as the file system gives them.

    `files` are to be looked at: their ending is one that Pillow reads, or they have none. `endings` counts the
    others. `hidden` are files and folders that are nobody's data: their names begin with a dot or are those
    that systems give to thumbnails, waste baskets and the like. `links` are the linked folders that were
    followed, `unfollowed` says why others were not listed, and `left_out` why a file cannot be opened.
    """

    files: list[str] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)
    hidden: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    unfollowed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def passed_over(self) -> list[str]:
        """What was not looked at, in a few words each."""
        said = [f"{shown(name)} left out: {why}" for name, why in sorted(self.unfollowed.items())[:FOLDERS_NAMED]]
        if (more := len(self.unfollowed) - FOLDERS_NAMED) > 0:
            said.append(f"{more:,} more folders left out")
        if self.hidden:
            said.append(f"hidden files, thumbnails and the like left out: {listed(self.hidden)}")
        if count := self.endings.total():
            kinds = [f"{n:,} {shown(ending) or 'without an ending'}" for ending, n in self.endings.most_common()]
            named = ", ".join(kinds[:ENDINGS_LISTED]) + (" and others" if len(kinds) > ENDINGS_LISTED else "")
            these = (
                "file that is no picture by its ending" if count == 1 else "files that are no pictures by their endings"
            )
            said.append(f"{count:,} {these}: {named}")
        return said


def walk(folder: str) -> Found:
    """Everything below the folder, linked folders too, and each real folder once.

    A folder that is reached both directly and by a link has its direct name; a link to a folder above is not
    followed. Raises OSError where the folder itself cannot be listed.
    """
    found, read = Found(), endings()
    top = os.path.realpath(folder)
    seen = {top: ""}
    # Round by round, so that links come after all that is reached without them, always in the same order.
    now, later = [("", top)], []
    while now:
        here, real = now.pop()
        try:
            with os.scandir(os.path.join(folder, here)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if not here:
                raise
            found.unfollowed[here] = f"it cannot be listed ({error.strerror})"
            entries = []
        for entry in entries:
            name = here + entry.name
            try:
                is_folder = entry.is_dir()
                is_file = not is_folder and entry.is_file()
            except OSError as error:  # a link that leads to itself
                found.left_out[name] = f"cannot be read: {error.strerror}"
                continue
            if entry.name.startswith(".") or (is_folder and entry.name.lower() in NOBODYS):
                found.hidden.append(name + "/" * is_folder)
            elif is_folder and entry.is_symlink():
                later.append(name + "/")
            elif is_folder:
                inside = os.path.join(real, entry.name)
                if inside not in seen:
                    seen[inside] = name + "/"
                    now.append((name + "/", inside))
            elif not is_file:
                found.left_out[name] = "a link to nothing" if entry.is_symlink() else "not a file"
            elif (ending := os.path.splitext(entry.name)[1].lower()) in read:
                found.files.append(name)
            else:
                found.endings[ending] += 1
        if not now:
            now = _follow(folder, top, later, seen, found)
            later = []
    return found


def _follow(folder: str, top: str, links: list[str], seen: dict[str, str], found: Found) -> list[tuple[str, str]]:
    """The links' folders that are to be listed; why the others are not."""
    wanted = []
    for name in sorted(links, key=lambda name: name.rstrip("/")):
        real = os.path.realpath(os.path.join(folder, name))
        if os.path.commonpath([real, top]) == real:
            found.unfollowed[name] = "a link back to a folder above"
        elif real in seen:
            found.unfollowed[name] = f"a link to the same folder as {shown(seen[real])}"
        else:
            seen[real] = name
            found.links.append(name)
            wanted.append((name, real))
    return wanted[::-1]  # they are taken from the end


def endings() -> frozenset[str]:
    """The endings of all formats that Pillow opens as pictures, in lower case, and none at all."""
    formats = Image.registered_extensions()  # imports all of Pillow's formats, as no thread must
    opened = {*Image.OPEN, "MPO"} - NO_PICTURES  # MPO is opened by the format JPEG
    return frozenset(ending for ending, kind in formats.items() if kind in opened) | {"", "."}
