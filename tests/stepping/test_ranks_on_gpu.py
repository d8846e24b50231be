"""Steps of ranks that talk over NCCL, captured with their sums in CUDA graphs: the numbers of those that come one by
one, to the last bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from stepped import IMAGES, RECIPES, STILL, epochs, state

from evae.cluster.process_group import let_steps_be_captured
from evae.ranks import Ranks
from evae.training import Training

pytestmark = pytest.mark.gpu
SIZES = (1, 2)


class Lone(Ranks):
    """One rank, whose sums go through its process group all the same."""

    alone = False


def train(name: str, ranks: Ranks, why_not: str | None = None) -> dict[str, Any]:
    """With a reason, steps are not captured."""
    training = Training(RECIPES[name], IMAGES, "cuda", ranks)
    if why_not is not None:
        training.loop.program.why_not = why_not
    rows = epochs(training)
    found = {"rows": rows, "state": {n: v.cpu() for n, v in state(training).items()}, "stepped": training.stepped}
    # A process group in which captured steps still sum cannot be ended.
    training.release()
    return found


def rank_main(rank: int, size: int, folder: str) -> None:
    let_steps_be_captured()
    torch.cuda.set_device(rank)
    torch.distributed.init_process_group("nccl", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    ranks = Ranks(rank, size) if size > 1 else Lone()
    found = {name: (train(name, ranks), train(name, ranks, "a test")) for name in STILL}
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module", params=SIZES)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each rank found."""
    size, folder = request.param, tmp_path_factory.mktemp("ranks")
    if torch.cuda.device_count() < size:
        pytest.skip(f"needs {size} CUDA devices, and torch finds {torch.cuda.device_count()} here")
    torch.multiprocessing.spawn(rank_main, (size, str(folder)), nprocs=size)
    return [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in range(size)]


@pytest.mark.parametrize("name", STILL)
def test_captured_steps_of_ranks_are_those_that_come_one_by_one(name, found):
    for captured, as_it_comes in (each[name] for each in found):
        assert (captured["stepped"], as_it_comes["stepped"]) == ("captured", "as it comes: a test")
        assert captured["rows"] == as_it_comes["rows"]
        for key, value in as_it_comes["state"].items():
            assert torch.equal(captured["state"][key], value), key


@pytest.mark.parametrize("name", STILL)
def test_all_ranks_find_the_same(name, found):
    first, *others = (each[name][0]["rows"] for each in found)
    assert all(rows == first for rows in others)
