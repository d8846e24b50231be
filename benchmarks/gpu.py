"""What a GPU gives: one trial and lanes of trials, their steps captured in CUDA graphs, against bare programs.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --sizes small --study 0       # two minutes: without studies

EVAE of grey images of 32 px (mnist-5k) in batches of 64, in fp32; images per second of training, evaluation left out:

- before: our loop as it was until steps were captured, which looks at every step before the next one begins;
- as it comes, captured: our loop, not captured, and captured as it is by default;
- bare, bare captured: the same model and optimiser alone, of which the loss is the only thing that is noted;
- two ranks: our loop in two processes with a GPU each, which share its batches, where there are two GPUs;
- K lanes: so many trials in threads of one process, as `--lanes` trains them;
- K replicas: so many bare models stacked into one program by `torch.vmap`, captured, for comparison, with cuDNN's
  convolutions;
- pythae: its trainer with the same networks, where it is installed (`pip install pythae`).

Then a study of 24 trials, which ten processes share the GPU for, and one with lanes: images per second, and seconds,
of its search, from the call of `Tuner.fit` to its return.

The last table compares with what is aimed at. Less than ten minutes on a GPU. On a CPU, where nothing is captured, it
runs with one lane and the smallest networks, in a minute, and writes nothing: its figures say nothing about a GPU.
"""

import argparse
import importlib.util
import io
import subprocess
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
from _record import table, write_result
from rich.console import Console
from torch.multiprocessing import spawn
from utilisation import ShortTrials, fit_times

from evae.cluster.pack import threads_that_train
from evae.cluster.process_group import let_steps_be_captured
from evae.data import DataRecipe, load
from evae.data.base import ImageSet
from evae.networks import SIZES, Conv
from evae.posteriors.evae import Evae
from evae.ranks import Ranks
from evae.recipe import Optimisation, Recipe
from evae.study.room import images_per_s
from evae.study.run import run_study
from evae.training import Training

BATCH, SECONDS, EPOCHS = 64, 1.0, 12
BEFORE, CAPTURED, BARE_CAPTURED = "before", "captured", "bare captured"
GOALS = (
    # what, of this way, over that way, at least
    ("one trial against the loop before", CAPTURED, BEFORE, 6.0),
    ("16 lanes against the loop before", "16 lanes", BEFORE, 18.0),
    ("one trial against pythae", CAPTURED, "pythae", 5.0),
    ("16 lanes against pythae", "16 lanes", "pythae", 15.0),
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
        count = 4000 if gpu else 200
        images = load(DataRecipe(source="mnist-5k", image_size=32, channels=1, train_images=count))
        return cls(
            device=torch.device("cuda" if gpu else "cpu"),
            sizes=tuple(given.sizes or (("tiny", "small", "paper") if gpu else ("tiny",))),
            lanes=(1, 4, 16) if gpu else (1,),
            replicas=(4, 16, 64) if gpu else (2,),
            images=images,
            trials=given.study if gpu else min(given.study, 2),
        )

    def recipe(self, size: str) -> Recipe:
        optimisation = Optimisation(batch_size=BATCH, precision="fp32", epochs=1000)
        return Recipe(posterior=Evae(), network=Conv(width=SIZES[size]), latent=64, optimisation=optimisation)


def rate(images: int, epoch: Callable[[], object], warm: int = 2) -> float:
    """Images per second of epochs of so many images, each of which ends by reading a number back."""
    for _ in range(warm):
        epoch()
    clock, epochs, seconds = time.perf_counter(), 0, 0.0
    while seconds < SECONDS:
        epoch()
        epochs, seconds = epochs + 1, time.perf_counter() - clock
    return images * epochs / seconds


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
    return rate(len(setting.images.train), training.train_epoch)


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
    return rate(made.images, made.epoch)


def replicas(setting: Setting, recipe: Recipe, count: int) -> float:
    made = Replicas(recipe, setting.images, setting.device, True, count)
    return rate(made.images, made.epoch)


def pythae(setting: Setting, recipe: Recipe) -> float:
    from _pythae import pythae_epoch

    return rate(len(setting.images.train), pythae_epoch(recipe, setting.images, setting.device))


def ways(setting: Setting, recipe: Recipe) -> dict[str, Callable[[], float]]:
    """Each way's images per second, by its name."""
    found: dict[str, Callable[[], float]] = {
        how: lambda how=how: one_trial(setting, recipe, how) for how in (BEFORE, "as it comes", CAPTURED)
    }
    if setting.device.type == "cuda" and torch.cuda.device_count() > 1:
        found |= {f"two ranks, {how}": partial(two_ranks, setting, recipe, how) for how in ("as it comes", CAPTURED)}
    found |= {"bare": lambda: bare(setting, recipe, False), BARE_CAPTURED: lambda: bare(setting, recipe, True)}
    given = recipe, setting.images, setting.device
    found |= {f"{count} lanes": lambda count=count: images_per_s(*given, count) for count in setting.lanes}
    found |= {f"{count} replicas": lambda count=count: replicas(setting, recipe, count) for count in setting.replicas}
    if importlib.util.find_spec("pythae"):
        found["pythae"] = lambda: pythae(setting, recipe)
    return found


def measure(setting: Setting) -> dict[str, dict[str, float]]:
    """Images per second by way and size; a way that cannot be taken here has none."""
    found: dict[str, dict[str, float]] = {}
    for size in setting.sizes:
        for name, way in ways(setting, setting.recipe(size)).items():
            try:
                found.setdefault(name, {})[size] = way()
            except Exception as error:
                print(f"{name}, {size}: {type(error).__name__}: {str(error).splitlines()[0]}")
            if setting.device.type == "cuda":
                torch.cuda.empty_cache()
            print(f"{name}, {size}: {found.get(name, {}).get(size, 0):,.0f} images/s", flush=True)
    return found


def study(setting: Setting, way: str, **options: object) -> dict[str, float]:
    """The search of a study of short trials: seconds, images per second, and the share of lanes x wall in training."""
    with tempfile.TemporaryDirectory() as folder, fit_times() as times:
        size = "small" if setting.device.type == "cuda" else "tiny"
        given = {"results": folder, "size": size, "trials": setting.trials, "batch_size": BATCH, "precision": "fp32"}
        given["train_images"] = len(setting.images.train)
        store = run_study(f"{way}.", ShortTrials(**given, **options), Console(file=io.StringIO()))
        rows = store.read("trials").to_pylist()
    seconds = times[1] - times[0]
    images = sum(row["epochs"] for row in rows) * len(setting.images.train)
    slots = len({row["slot"] for row in rows})  # of lanes, too: an actor keeps the rows of each
    return {"s": seconds, "rate": images / seconds, "share": sum(row["train_s"] for row in rows) / (slots * seconds)}


def studies(setting: Setting) -> dict[str, dict[str, float]]:
    if not setting.trials:
        return {}
    if setting.device.type == "cpu":
        return {"one process": study(setting, "one process", trials_at_once=1, lanes=1)}
    shared = {"trials_at_once": 10, "gpus_per_worker": 0.1, "lanes": 1}
    return {"ten processes": study(setting, "ten processes", **shared), "lanes": study(setting, "lanes")}


def driver() -> str:
    """The card and its driver, as nvidia-smi names them."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def text(setting: Setting, found: dict[str, dict[str, float]], searches: dict[str, dict[str, float]]) -> str:
    """All tables."""
    parts = [
        table([{"way": way} | {size: f"{of.get(size, 0):,.0f}" for size in setting.sizes} for way, of in found.items()])
    ]
    if searches:
        parts.append(
            table(
                [
                    {
                        "study": way,
                        "wall, s": f"{each['s']:.1f}",
                        "images/s": f"{each['rate']:,.0f}",
                        "share of slots x wall in training": f"{each['share']:.2f}",
                    }
                    for way, each in searches.items()
                ]
            )
        )
    aims = []
    size = "small" if "small" in setting.sizes else setting.sizes[0]
    for what, way, over, least in GOALS:
        if size in found.get(way, {}) and size in found.get(over, {}):
            aims.append(
                {"aim": f"{what}, {size}", "least": f"{least:g}", "is": f"{found[way][size] / found[over][size]:.2f}"}
            )
    if {"ten processes", "lanes"} <= searches.keys():
        gain = searches["ten processes"]["s"] / searches["lanes"]["s"]
        aims.append({"aim": "the study with lanes against ten processes", "least": "5", "is": f"{gain:.2f}"})
    return "\n".join([*parts, table(aims)] if aims else parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, help="of the networks (default: all three on a GPU)")
    parser.add_argument("--study", type=int, default=24, help="trials of the studies; 0 leaves them out")
    given = parser.parse_args()
    threads_that_train()
    setting = Setting.here(given)
    torch.set_num_threads(1)
    page = text(setting, measure(setting), studies(setting))
    if setting.device.type == "cuda":
        write_result("gpu", "One GPU, many trials", f"{driver()}.\n\n{page}")
    else:
        print(f"\n{page}\nOn a CPU: these figures say nothing about a GPU, and are not kept.")


if __name__ == "__main__":
    main()
