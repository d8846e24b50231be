"""Whether images are kept in memory, or stay in their files and are decoded each time that they are needed."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from evae.errors import unknown

STREAM = ("auto", "always", "never")
SHARE = 4
"""Of the free memory a quarter may be images: Ray's store has a copy of them, and training needs memory too."""
FITS = Callable[[int], bool]
"""Whether images of so many bytes are to be kept in memory."""


def fits(stream: str) -> FITS:
    """What decides for "auto" (by the memory that is free now), "always" and "never". Raises UserError for others."""
    if stream not in STREAM:
        raise unknown("way to stream", stream, STREAM)
    return lambda size: size <= free_bytes() // SHARE if stream == "auto" else stream == "never"


def free_bytes() -> int:
    """Memory that this process can have without taking it from others; of a container, no more than its limit leaves.
    Where the system does not tell, half of what there is."""
    free = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2]
    with contextlib.suppress(OSError, ValueError):
        (line,) = (line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
        free = [int(line.split()[1]) * 1024]
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        free.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return max(0, min(free))
