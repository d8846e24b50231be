"""A finished study measured again from its weights."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from evae import data, plugins
from evae.cluster.demand import Demand
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.recipe import Recipe
from evae.results import measures
from evae.results.compaction import tidied
from evae.results.finished import with_weights
from evae.results.lock import sole_driver
from evae.results.store import Store
from evae.search.feasible import check_labels
from evae.search.objectives import check_kind
from evae.study.asked import Asked, MeasureOptions, differing

if TYPE_CHECKING:
    from evae.cluster.measurer import Again, Measured
    from evae.metrics.features import Features

LINE_EVERY_S = 10.0
"""At most one line of progress in this many seconds, and one at the end."""
TRIED = 3
"""Where the weights of so many trials cannot be used, neither can those of the others."""
REASONS = 5
"""How many trials that could not be measured are named."""


def measure(options: MeasureOptions, console: Console) -> bool:
    """Add what is asked to the results of a study, a trial at a time; whether it could be measured of all that have
    weights. What a trial has already stays, and is not measured again.

    Raises UserError, before anything is measured, for what cannot be done. On Ctrl-C what is measured is kept, and the
    same call goes on with the rest.
    """
    store = Store(options.results)
    manifest = _manifest(store)
    loaded = plugins.load([*_plugins(manifest, options.plugin), *options.plugin])
    given = {name: getattr(options, name) for name in ("features", "densities", "downstream", "iw_samples", "metrics")}
    asked = Asked(**given)
    store.prepare()
    with sole_driver(store):
        rows, without = _weighed(store)
        refused: dict[str, str] = {}
        images = _images(options, manifest)
        _check_kind(asked, images)
        notes = check_labels(asked.metrics, asked.labels, images)
        recipes = {}
        for row in rows:
            try:
                recipes[row["trial"]] = _recipe(row, manifest)
            except UserError as error:
                refused[row["trial"]] = str(error)
        networks = {} if images.kind == "points" else _networks(asked, recipes.values())
        jobs = list(_lacking(store, rows, recipes, asked, networks, images))
        count = f"{len(rows)} finished trials with weights{f' ({without} have none)' if without else ''}"
        console.print(Text(f"{manifest['study']}: {count}, of which {len(jobs)} lack what is asked"))
        for note in notes:
            console.print(Text(note))
        if jobs:
            _check_weights(jobs[:TRIED], store, images)
            refused |= _run(jobs, options, store, images, networks, loaded, console)
        for line in tidied(store):
            console.print(Text(line))
    for trial, reason in list(refused.items())[:REASONS]:
        console.print(Text(f"{trial} was not measured: {reason}"))
    if len(refused) > REASONS:
        console.print(f"and {len(refused) - REASONS} more were not measured")
    return not refused


def _manifest(store: Store) -> dict[str, Any]:
    """The newest session's row, its identity and options parsed. Raises UserError where there is no study."""
    sessions = store.rows("study")
    if not sessions:
        raise UserError(
            f"no study in {store.location!r}: give the results folder of a study, for example results/kernel-sweep"
        )
    newest = max(sessions, key=lambda row: row["session"])
    try:
        parsed = {name: json.loads(newest[name]) for name in ("identity", "options")}
        if "data digest" in parsed["identity"] and isinstance(parsed["options"], dict):
            return newest | parsed
    except (KeyError, TypeError, ValueError):
        pass
    raise store.damaged("study", {f"study/{newest['session']}.parquet": "it does not say what the study is"})


def _plugins(manifest: Mapping[str, Any], given: Sequence[str]) -> list[str]:
    """The study's plug-ins, but for those of which another file or module of that name is given."""
    names = {Path(one).name for one in given}
    return [one for one in manifest["options"].get("plugin") or () if Path(one).name not in names]


def _weighed(store: Store) -> tuple[list[dict[str, Any]], int]:
    """The rows of finished trials whose weights were kept, and of how many they were not. Raises UserError where there
    are none."""
    finished = [row for row in store.rows("trials") if row["state"] == "finished"]
    rows = with_weights(store, finished)
    return rows, len(finished) - len(rows)


def _images(options: MeasureOptions, manifest: Mapping[str, Any]) -> ImageSet:
    """The study's images. Raises UserError where what is there are others."""
    recipe = Recipe.from_dict(manifest["identity"]["recipe"]).data
    root = options.data_root or manifest["options"].get("data_root")
    images = data.load(replace(recipe, source=options.data or recipe.source), root)
    if images.digest != (was := manifest["identity"]["data digest"]):
        raise UserError(
            f"the images of {images.name} are not those of the study: their digest is {images.digest}, and was {was}. "
            "Name the place of those with --data or --data-root."
        )
    return images


def _check_kind(asked: Asked, images: ImageSet) -> None:
    """Raise UserError for what is not of data of this kind."""
    check_kind(asked.metrics, images.kind)
    if images.kind == "points" and (asked.features or asked.densities or asked.downstream):
        raise UserError(
            f"features, densities and accuracies are of images, and {images.name} is points: ask for --iw-samples or "
            "--metrics."
        )


def _recipe(row: Mapping[str, Any], manifest: Mapping[str, Any]) -> Recipe:
    """A trial's recipe. Raises UserError where this process cannot measure what it describes."""
    try:
        given = json.loads(row["recipe"])
    except (TypeError, ValueError):
        raise UserError("its row does not say what was trained") from None
    recipe, base = Recipe.from_dict(given), Recipe.from_dict(manifest["identity"]["recipe"])
    if changed := plugins.changed(given.get("plugins", {})):
        raise UserError(f"the plug-in {'; '.join(changed)}: bring back what it was")
    if replace(recipe.data, horizontal_flip=False) != replace(base.data, horizontal_flip=False):
        raise UserError("its images are not those of the study")
    return recipe


def _networks(asked: Asked, recipes: Sequence[Recipe]) -> dict[str, "Features"]:
    """All features that are needed, by name. Raises UserError where the weights of one are not to be had."""
    from evae.metrics.features import load_features  # imports torch

    return {name: load_features(name) for name in sorted(set().union(*map(asked.networks, recipes)))}


def _lacking(
    store: Store,
    rows: Sequence[Mapping[str, Any]],
    recipes: Mapping[str, Recipe],
    asked: Asked,
    networks: Mapping[str, "Features"],
    images: ImageSet,
) -> Iterator["Again"]:
    """What each trial has not of what is asked. Raises UserError where it has it on something else."""
    from evae.cluster.measurer import Again

    digests = {name: network.digest for name, network in networks.items()}
    labels = images.labels and images.labels.digest
    known = {row["trial"]: row for row in store.rows(measures.KIND)}
    for row in (row for row in rows if row["trial"] in recipes):
        recipe, before = recipes[row["trial"]], measures.of_trial(row, known.get(row["trial"]))
        identities = measures.identities(before) | measures.identities(row)
        done, parts = set(json.loads(before.get("asked", "[]"))), []
        for part in asked.parts(recipe, digests, labels):
            for column, identity in part.columns.items():
                for what, was, now in differing(identities.get(column, identity), identity):
                    raise UserError(
                        f"{column} of {row['trial']} is there, with {what} {was}, and would now be with {now}: such "
                        "values do not compare, and cannot have one name. Nothing was measured."
                    )
            columns = [name for name in part.columns if row.get(name) is None and before.get(name) is None]
            if columns := tuple(name for name in columns if name not in done):
                parts.append((replace(recipe, evaluation=part.evaluation).to_dict(), columns))
        if parts:
            yield Again(row, tuple(parts))


def _check_weights(jobs: Sequence["Again"], store: Store, images: ImageSet) -> None:
    """Raise UserError where the weights of none of these trials can be used."""
    from evae.checkpoints import restore_model
    from evae.training import Training

    reasons = []
    for again in jobs:
        weights = store.read_bytes("weights", f"{again.trial}.safetensors") or b""
        try:
            return restore_model(Training(Recipe.from_dict(again.parts[0][0]), images), weights)
        except UserError as error:
            reasons.append(f"{again.trial} ({error})")
    raise UserError(f"weights of {store.location} cannot be used: {'; '.join(reasons)}")


def _run(
    jobs: Sequence["Again"],
    options: MeasureOptions,
    store: Store,
    images: ImageSet,
    networks: Mapping[str, "Features"],
    loaded: Sequence[plugins.Plugin],
    console: Console,
) -> dict[str, str]:
    """Measure and keep; why not, by trial, where that was not possible."""
    # Imported when needed: what cannot be done is said before Ray is imported.
    from evae.cluster.access import require_token
    from evae.cluster.machine import find_slots, ray_session
    from evae.cluster.measurer import MeasureSetting, measure_all
    from evae.cluster.versions import require_same_versions
    from evae.hardware import accelerator
    from evae.metrics.reference import references

    # A Mac's GPU cannot do all that an evaluation may need.
    demand = Demand(address=options.address, gpus=0.0 if not options.address and accelerator() == "mps" else None)
    splits = {split: getattr(images, split) for split in ("validation", "test")}
    known = {name: references(splits, images.train, network) for name, network in networks.items()}
    if images.kind == "points":
        known = {part[0]["evaluation"]["features"]: dict.fromkeys(splits) for job in jobs for part in job.parts}
    refused: dict[str, str] = {}
    with ray_session(demand, trains=False):
        require_token()
        require_same_versions(loaded)
        slots = find_slots(demand)
        setting = MeasureSetting(store, images, known, slots.cpus, slots.gpus, tuple(loaded))
        started = spoken = time.monotonic()
        for done, (again, found) in enumerate(measure_all(jobs, setting, slots), 1):
            if isinstance(found, str):
                refused[again.trial] = found
            else:
                _keep(store, again, found)
                if found.not_fitted:
                    console.print(Text(f"{again.trial} has no samples from a density: {found.not_fitted}"))
            now = time.monotonic()
            if now - spoken > LINE_EVERY_S or done == len(jobs):
                spoken = now
                left = (now - started) / done * (len(jobs) - done)
                console.print(f"measured {done - len(refused)}/{len(jobs)}, about {left:.0f} s left", highlight=False)
    return refused


def _keep(store: Store, again: "Again", found: "Measured") -> None:
    asked = [column for _, columns in again.parts for column in columns]
    measures.add(store, again.row, asked=asked, metrics=found.metrics, distances=found.distances, device=found.device)
