"""The trials of a session: references once, then training as Tune's actors have room, every result in the store."""

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial

import ray
import torch
from rich.console import Console
from rich.text import Text

from evae.callbacks import callback
from evae.cluster.demand import Demand
from evae.cluster.failures import Failures
from evae.cluster.machine import Slots, find_slots
from evae.cluster.setting import Setting
from evae.cluster.tune import tuner
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.hardware import accelerator
from evae.metrics.features import load_features
from evae.metrics.reference import Reference, references
from evae.networks.layers import recompute
from evae.recipe import Recipe
from evae.results.store import Store
from evae.search.searcher import StudySearcher
from evae.study.balance import balance, state_mb
from evae.study.course import Told
from evae.study.covered import looked_at
from evae.study.longer import said_of_precision
from evae.study.manifest import Manifest
from evae.study.offered import settle
from evae.study.options import StudyOptions
from evae.study.pool import StudyPool
from evae.study.room import room


def train(
    searcher: StudySearcher,
    manifest: Manifest,
    images: ImageSet,
    options: StudyOptions,
    demand: Demand,
    store: Store,
    pool: StudyPool,
    told: Told,
    console: Console,
) -> None:
    """Train what the searcher suggests on the machines that were joined, as `run_study` says. Tune tells of it who is
    to be `told`."""
    recipes = searcher.space.recipes(searcher.base)
    _check_builds(recipes, images, options.recompute)
    console.print(Text(f"the first configuration's loss as training begins: {balance(recipes[0], images)}"))
    slots = find_slots(demand)
    found = room(demand, slots, recipes, images, options.plugins)
    slots.lanes = found.lanes
    if found.note:
        console.print(Text(found.note))
    if slots.idle_gpus:
        counted = f"Ray counts {slots.idle_gpus:g} GPU(s) that torch cannot use"
        console.print(f"{counted}: trials train on the CPU", highlight=False)
    setting = Setting(
        study=options.name,
        store=store,
        images=images,
        references=_references(images, options.features),
        cpus=slots.cpus,
        gpus=slots.gpus,
        keep=options.keep,
        workers=slots.workers,
        max_failures=options.max_failures,
        recomputes=options.recompute,
        plugins=tuple(options.plugins),
        followed=bool(callback or options.track),
        searched=looked_at(options),
        lanes=slots.lanes,
        packs=found.packs,
    )
    if options.keep == "states":
        mb = sum(map(partial(state_mb, images=images), recipes)) / len(recipes)
        console.print(f"states of trainings are kept: about {mb:.3g} MB for each trial", highlight=False)
    manifest.write(store, slots=float(slots.now()))
    searcher.room = slots.room
    device = accelerator() if slots.gpus > 0 else "cpu"
    settle(pool, images, options.features, device, setting.threads, slots.workers)
    for line in said_of_precision(store, options.epochs, pool.precision):
        console.print(Text(line))
    _search(searcher, setting, slots, options, manifest, told, console)


def _check_builds(recipes: Sequence[Recipe], images: ImageSet, recomputes: bool) -> None:
    """Raise UserError for networks that only find when they are built that they cannot be, and where there is nothing
    to recompute in one."""
    shape = images.image_size, images.channels
    with torch.device("meta"):
        for network, recipe in {recipe.network: recipe for recipe in recipes}.items():
            parts = network.build(*shape, recipe.latent, recipe.posterior.heads)
            if recomputes and not sum(map(recompute, parts)):
                raise UserError(
                    f"the {network.family} networks have no blocks that can be recomputed: leave --recompute out, or "
                    "take resnet_v2, sd_vae or lite_vae."
                )
        for discriminator in {recipe.adversarial.discriminator for recipe in recipes if recipe.adversarial}:
            discriminator.build(*shape)


def _search(
    searcher: StudySearcher,
    setting: Setting,
    slots: Slots,
    options: StudyOptions,
    manifest: Manifest,
    told: Told,
    console: Console,
) -> None:
    stopped = searcher.rungs.stopped if searcher.rungs else {}
    failures = Failures(options.name, setting.store, slots, console, stopped, options.max_failures)
    progress, followers = told
    callbacks = [progress, failures, followers] if setting.followed else [progress, failures]
    try:
        with tempfile.TemporaryDirectory(prefix="evae-tune-") as scratch:
            tuner(searcher, setting, slots, callbacks, failures.given_up, scratch, options.time_limit).fit()
    finally:
        # The trials in flight write rows as long as there is a Ray to run them.
        ray.shutdown()
        failures.record()
        manifest.row["slots"] = slots.mean()


def _references(images: ImageSet, features: str) -> Mapping[str, Reference | None]:
    """Statistics of the real images of both held-out splits, against training images for the floor; None of points."""
    splits = ("validation", "test")
    if images.kind == "points":
        return dict.fromkeys(splits)
    return references({split: getattr(images, split) for split in splits}, images.train, load_features(features))
