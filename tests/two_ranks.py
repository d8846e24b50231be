"""Two processes of one training, for tests: the one that tests, and another that takes some seconds to start."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed
import torch.multiprocessing

from evae.ranks import Ranks


def of_both(find: Callable[[Ranks, str], Any], folder: Path) -> list[Any]:
    """What `find(ranks, folder)` gives on the first and on the second of two ranks, which meet over gloo, each on one
    thread. What is raised on the second is raised here."""
    other = torch.multiprocessing.start_processes(_second, (find, str(folder)), nprocs=1, join=False)
    threads = torch.get_num_threads()
    try:
        found = _on(0, find, str(folder))
    finally:
        torch.set_num_threads(threads)
        while not other.join():
            pass
    return [found, torch.load(folder / "second.pt", weights_only=False)]


def _second(_: int, find: Callable[[Ranks, str], Any], folder: str) -> None:
    torch.save(_on(1, find, folder), f"{folder}/second.pt")


def _on(rank: int, find: Callable[[Ranks, str], Any], folder: str) -> Any:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    try:
        return find(Ranks(rank, 2), folder)
    finally:
        torch.distributed.destroy_process_group()
