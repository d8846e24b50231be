"""Batches of images in their order: of a stream, the next ones are decoded while one is trained on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from evae.data.pixels import rows
from evae.data.stream import Split, Stream
from evae.lazy import torch

DEPTH = 2
"""So many batches are read ahead: what is in memory of a stream, beside the one in use."""


def ahead(images: Split | torch.Tensor, batches: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
    """The images of each batch of indices, uint8 (n, c, h, w)."""
    if not isinstance(images, Stream):
        yield from (rows(images, which) for which in batches)
        return
    # The decoding itself is in as many threads as torch has (`rows`); this one only waits for them.
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        waiting: deque = deque()
        try:
            for which in batches:
                waiting.append(reader.submit(rows, images, which))
                if len(waiting) > DEPTH:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for batch in waiting:
                batch.cancel()
