"""The independent streams of random numbers that a training draws from."""

import numpy as np
import torch

ORDER, NOISE, AUGMENTATION, VALIDATION, DISCRIMINATOR, TEST, STATISTICS = range(7)
"""Those of an epoch. Those that are not of training belong to epoch 0, which none is: the codes' noise when a split is
measured, or when statistics are estimated, and the discriminator's first weights."""


def generator(device: torch.device | str, *key: int) -> torch.Generator:
    """A generator on `device` whose seed is hashed from non-negative integers: another key is another stream."""
    return torch.Generator(device).manual_seed(hashed(*key))


def hashed(*key: int) -> int:
    """A seed hashed from non-negative integers, of which there may be any number."""
    # How many 32-bit words each takes. numpy puts the words of all one after the other and fills up with zeros, so that
    # without these counts (0, 100) would be (0, 100, 0), and (2**32, 1) would be (0, 1, 1). Three words are the keys
    # that have always been, and stay as they were.
    words = tuple(max(1, -(-number.bit_length() // 32)) for number in key)
    sequence = np.random.SeedSequence(key, spawn_key=() if words == (1, 1, 1) else words)
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
