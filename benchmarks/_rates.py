"""Images per second of training: one trial and lanes of trials against bare programs, for benchmarks/gpu.py."""

import argparse
import gc
import importlib.util
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
import torch.distributed
from _bare import Bare, Replicas
from _page import Page
from torch.multiprocessing import spawn

from evae.cluster.pack import threads_that_train
from evae.cluster.process_group import let_steps_be_captured
from evae.data import DataRecipe, load
from evae.data.base import ImageSet
from evae.networks import SIZES, Conv
from evae.posteriors.evae import Evae
from evae.ranks import Ranks
from evae.recipe import Optimisation, Recipe
from evae.study.room import images_per_s
from evae.training import Training

BATCH, SECONDS, EPOCHS = 64, 1.0, 12
BEFORE, CAPTURED, BARE_CAPTURED = "before", "captured", "bare captured"
AIMS = (
    # what, of this way, over that way, at least
    ("one trial against the loop before", CAPTURED, BEFORE, 6),
    ("16 lanes against the loop before", "16 lanes", BEFORE, 18),
    ("one trial against pythae", CAPTURED, "pythae", 5),
    ("16 lanes against pythae", "16 lanes", "pythae", 15),
    ("one trial's share of the bare step's rate", CAPTURED, BARE_CAPTURED, 0.9),
)


@dataclass(frozen=True)
class Setting:
    """What is measured, and where."""

    device: torch.device
    sizes: tuple[str, ...]
    lanes: tuple[int, ...]
    replicas: tuple[int, ...]
    images: ImageSet
    trials: int

    @classmethod
    def here(cls, given: argparse.Namespace) -> "Setting":
        """All of it on CUDA; on a CPU what takes a minute."""
        gpu = torch.cuda.is_available()
        count = (62 if gpu else 3) * BATCH  # in whole batches, as the bare programs take them
        images = load(DataRecipe(source="mnist-5k", image_size=32, channels=1, train_images=count))
        return cls(
            device=torch.device("cuda" if gpu else "cpu"),
            sizes=tuple(given.sizes or (("tiny", "small", "paper") if gpu else ("tiny",))),
            lanes=(1, 4, 16) if gpu else (1,),
            replicas=(4, 16, 64) if gpu else (2,),
            images=images,
            trials=given.study if gpu else min(given.study, 2),
        )

    @property
    def gpu(self) -> bool:
        return self.device.type == "cuda"

    def forget(self) -> None:
        """Give back what a way has left in the device's memory."""
        gc.collect()
        if self.gpu:
            torch.cuda.empty_cache()

    def recipe(self, size: str) -> Recipe:
        optimisation = Optimisation(batch_size=BATCH, precision="fp32", epochs=1000)
        return Recipe(posterior=Evae(), network=Conv(width=SIZES[size]), latent=64, optimisation=optimisation)


def rate(images: int, epoch: Callable[[], float], warm: int = 2) -> float:
    """Images per second of epochs of so many images, each of which returns the seconds that it took."""
    for _ in range(warm):
        epoch()
    took: list[float] = []
    while sum(took) < SECONDS:
        took.append(epoch())
    return images * len(took) / sum(took)


def timed(epoch: Callable[[], object]) -> Callable[[], float]:
    """The seconds that it takes, for an epoch that ends by reading a number back."""

    def seconds() -> float:
        clock = time.perf_counter()
        epoch()
        return time.perf_counter() - clock

    return seconds


def one_trial(setting: Setting, recipe: Recipe, how: str) -> float:
    """Of our loop: "before", "as it comes" or "captured"."""
    training = Training(recipe, setting.images, setting.device)
    program, tally = training.loop.program, training.loop.tally
    if how != CAPTURED:
        program.why_not = how
    if how == BEFORE and tally.stopped is not None:
        run = program.run

        def looking(kind: object, step: Callable[[], object]) -> object:
            done = run(kind, step)
            bool(tally.stopped)
            return done

        program.run = looking
    return rate(len(setting.images.train), lambda: training.train_epoch()["train_s"])


def two_ranks(setting: Setting, recipe: Recipe, how: str) -> float:
    """Of our loop in two processes, "as it comes" or "captured"."""
    with tempfile.TemporaryDirectory() as folder:
        spawn(of_rank, (setting.images, recipe, how, folder), nprocs=2)
        return float(Path(folder, "rate").read_text())


def of_rank(rank: int, images: ImageSet, recipe: Recipe, how: str, folder: str) -> None:
    let_steps_be_captured()
    threads_that_train()
    torch.cuda.set_device(rank)
    torch.distributed.init_process_group("nccl", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    training = Training(recipe, images, "cuda", Ranks(rank, 2))
    if how != CAPTURED:
        training.loop.program.why_not = how
    # As many on both ranks: how many take a second each would find for itself.
    seconds = [training.train_epoch()["train_s"] for _ in range(EPOCHS)]
    if rank == 0:
        Path(folder, "rate").write_text(str(len(images.train) / median(seconds[2:])))
    training.release()
    torch.distributed.destroy_process_group()


def bare(setting: Setting, recipe: Recipe, captured: bool) -> float:
    made = Bare(recipe, setting.images, setting.device, captured)
    return rate(made.images, timed(made.epoch))


def replicas(setting: Setting, recipe: Recipe, count: int) -> float:
    made = Replicas(recipe, setting.images, setting.device, True, count)
    return rate(made.images, timed(made.epoch))


def pythae(setting: Setting, recipe: Recipe) -> float:
    from _pythae import pythae_epoch

    return rate(len(setting.images.train), timed(pythae_epoch(recipe, setting.images, setting.device)))


def ways(setting: Setting, recipe: Recipe) -> dict[str, Callable[[], float]]:
    """Each way's images per second, by its name."""
    found: dict[str, Callable[[], float]] = {
        how: lambda how=how: one_trial(setting, recipe, how) for how in (BEFORE, "as it comes", CAPTURED)
    }
    if setting.gpu and torch.cuda.device_count() > 1:
        found |= {f"two ranks, {how}": partial(two_ranks, setting, recipe, how) for how in ("as it comes", CAPTURED)}
    found |= {"bare": lambda: bare(setting, recipe, False), BARE_CAPTURED: lambda: bare(setting, recipe, True)}
    given = recipe, setting.images, setting.device
    found |= {f"{count} lanes": lambda count=count: images_per_s(*given, count) for count in setting.lanes}
    found |= {f"{count} replicas": lambda count=count: replicas(setting, recipe, count) for count in setting.replicas}
    if importlib.util.find_spec("pythae"):
        found["pythae"] = lambda: pythae(setting, recipe)
    return found


def rates(page: Page, setting: Setting) -> None:
    """A table of ways by size."""
    found = page.table("way", dict.fromkeys(setting.sizes, "{:,.0f}"), "Images per second:")
    for size in setting.sizes:
        for name, way in ways(setting, setting.recipe(size)).items():
            found.take(name, lambda size=size, way=way: {size: way()}, of=size)
            setting.forget()
    size = "small" if "small" in setting.sizes else setting.sizes[0]
    of = {name: cells[size] for name, cells in found.found.items() if size in cells}
    for what, way, over, least in AIMS:
        if way in of and over in of:
            page.aim(f"{what}, {size}", f"at least {least:g}", of[way] / of[over])
