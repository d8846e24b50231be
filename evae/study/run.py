"""Runs a study: data and references once, then trials as Tune's actors have room, every result in the store."""

import contextlib
import fcntl
import json
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
import ray
import torch
from rich.console import Console

from evae import data
from evae.cluster.access import require_token
from evae.cluster.failures import Failures
from evae.cluster.machine import Slots, find_slots, ray_session
from evae.cluster.setting import Setting
from evae.cluster.tune import tuner
from evae.cluster.versions import require_same_versions
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.metrics.features import Features, load_features
from evae.metrics.reference import Reference, reference
from evae.recipe import Recipe
from evae.results.rows import close_row
from evae.results.store import Store
from evae.search.journal import Journal
from evae.search.objectives import resolve_objectives
from evae.search.rungs import Rungs
from evae.search.samplers import sampler as samplers
from evae.search.searcher import StudySearcher
from evae.study.manifest import Manifest
from evae.study.options import StudyOptions
from evae.study.progress import StudyProgress, summary
from evae.training import check_trainable


def run_study(question: str, options: StudyOptions, console: Console) -> Store:
    """Train the study's configurations, or those that earlier sessions of it left, and return its store.

    Raises UserError, before anything is trained, for whatever of the options cannot be done. On Ctrl-C or at the
    time limit, finished trials are kept, those in flight are recorded as cancelled, and the same call continues; after
    Ctrl-C it raises KeyboardInterrupt.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    store = Store(options.location)
    store.prepare()
    with _sole_driver(store):
        base, space = options.base_recipe(), options.space
        images = data.load(base.data, options.data_root)
        _check_suits(space.recipes(base), images, options.workers_per_trial)
        features = load_features(options.features)
        objectives = resolve_objectives(options.objectives, features.column)
        manifest = Manifest(options, question, base, space.describe(base), objectives, images)
        notes = manifest.check_continues(store, options.resume, options.extend)
        searched = [(f"val_{metric}", direction) for metric, direction in objectives]
        rungs = None if options.early_stopping == "none" else Rungs(options.early_stopping, options.epochs, searched)
        if rungs is not None:
            rungs.take_over(store.read("epochs").to_pylist())
        searcher = StudySearcher(
            space,
            base,
            searched,
            total=options.total,
            seeds=options.seeds,
            sampler_seed=options.sampler_seed,
            make_sampler=samplers[options.sampler],
            race=options.replicates == "race",
            rungs=rungs,
            history=read_history(store),
        )
        console.print(_headline(options, base, images))
        for note in notes:
            console.print(note, markup=False, highlight=False)
        with ray_session(options.demand()):
            require_token()
            require_same_versions()
            slots = find_slots(options.demand())
            setting = Setting(
                study=options.name,
                store=store,
                images=images,
                references=_references(images, features),
                cpus=slots.cpus,
                gpus=slots.gpus,
                keep_weights=options.keep_weights,
                workers=slots.workers,
                max_failures=options.max_failures,
            )
            manifest.write(store, slots=float(slots.now()), sampler=options.sampler)
            searcher.room = slots.room
            _search(searcher, setting, slots, options, manifest, console)
    return store


def _search(
    searcher: StudySearcher,
    setting: Setting,
    slots: Slots,
    options: StudyOptions,
    manifest: Manifest,
    console: Console,
) -> None:
    store, progress = setting.store, StudyProgress(searcher, console, options.epochs)
    failures = Failures(options.name, store, slots, console, searcher.rungs.stopped if searcher.rungs else {})
    state, interrupted = "failed", False
    try:
        with (
            progress,
            Journal(store, options.name, searcher),
            tempfile.TemporaryDirectory(prefix="evae-tune-") as scratch,
        ):
            tuner(searcher, setting, slots, [progress, failures], scratch, options.time_limit).fit()
        state = "finished" if progress.done == progress.total or searcher.exhausted else "stopped"
    except KeyboardInterrupt:
        state, interrupted = "stopped", True
    finally:
        # The trials in flight write rows as long as there is a Ray to run them.
        ray.shutdown()
        failures.record()
        _cancel_running(store)
        manifest.close(store, state, slots.mean())
    console.print(summary(progress, [row["state"] for row in read_history(store)]))
    if searcher.exhausted and len(searcher.configurations) < options.trials:
        console.print(f"The search came up with no more than these {len(searcher.configurations)} configurations.")
    if state == "stopped":
        console.print("Stopped before the end; every finished trial is kept. The same command continues the study.")
    if interrupted:
        raise KeyboardInterrupt


def _check_suits(recipes: Iterable[Recipe], images: ImageSet, workers: int) -> None:
    """Raise UserError for what would otherwise fail in the trials of these recipes, some of it after the training."""
    shape, built = (images.image_size, images.channels), set()
    for recipe in recipes:
        check_trainable(recipe, images, workers)
        parts = recipe.network, recipe.adversarial and recipe.adversarial.discriminator
        if parts in built:
            continue
        built.add(parts)
        network, discriminator = parts
        with torch.device("meta"):
            network.build(*shape, recipe.latent, recipe.posterior.heads)
            if discriminator is not None:
                discriminator.build(*shape)
    for split in ("validation", "test"):
        if (count := len(getattr(images, split))) < 2:
            raise UserError(
                f"{images.name} has only {count} {split} image(s) here, and distances need at least 2; raise "
                f"--{split}-images, or give more images. What is known of them: {'; '.join(images.notes)}"
            )


def _cancel_running(store: Store) -> None:
    for row in store.read("trials").to_pylist():
        close_row(store, row["trial"], "cancelled", "the study was stopped")


def read_history(store: Store) -> list[dict[str, Any]]:
    """The trials' rows of earlier sessions, with parameters and recipe as dicts again."""
    rows = store.read("trials").to_pylist()
    return [row | {"params": json.loads(row["params"]), "recipe": json.loads(row["recipe"])} for row in rows]


def _references(images: ImageSet, features: Features) -> Mapping[str, Reference]:
    """Statistics of the real images of both held-out splits, against training images for the floor."""
    return {split: reference(getattr(images, split), images.train, features) for split in ("validation", "test")}


@contextlib.contextmanager
def _sole_driver(store: Store) -> Iterator[None]:
    """Refuse a second driver on the same results. The kernel frees the lock even after kill -9."""
    if not store.is_local:
        yield
        return
    with open(Path(store.root) / ".lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UserError(
                f"{store.location} is in use by {lock.read().strip() or 'another process'}. Wait until that study "
                "ends, stop it, or give this one another --name."
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n")
        lock.flush()
        yield


def _headline(options: StudyOptions, base: Recipe, images: ImageSet) -> str:
    splits = f"{len(images.train)} / {len(images.validation)} / {len(images.test)}"
    return (
        f"[bold]{options.name}[/bold]: {options.total} configurations x {options.seeds} seeds, {options.epochs} epochs "
        f"each, {options.size} {options.network} networks, {base.latent} latents\n"
        f"data {images.name}: {splits} train / validation / test images of {images.image_size} px, "
        f"{images.channels} channel(s)"
    )
