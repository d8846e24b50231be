"""Runs a study: what it asks for is checked, and then trained in a session."""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text
from safetensors import SafetensorError, deserialize

from evae import data
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.lazy import optuna
from evae.metrics.names import features_column
from evae.networks.base import in_words
from evae.recipe import Recipe
from evae.results.lock import sole_driver
from evae.results.store import Store
from evae.search.claims import Claim, Stated, parse
from evae.search.confirmation import Confirmation
from evae.search.deciding import FEWEST, Deciding, known
from evae.search.exact import Exact
from evae.search.feasible import check_decidable, check_labels, check_possible, check_sharp, check_truth
from evae.search.job import ENDED
from evae.search.rungs import Rungs
from evae.search.samplers import sampler as samplers
from evae.search.searcher import StudySearcher
from evae.sizes import ImageSize, in_px
from evae.study.longer import said_of_longer
from evae.study.manifest import PARTS, Manifest
from evae.study.offered import open_pool, said
from evae.study.options import StudyOptions
from evae.study.pool import StudyPool

REPEATED_BY = "study.toml"
"""The file beside the results that repeats the study."""


def run_study(question: str, options: StudyOptions, console: Console, repeated_by: bytes = b"") -> Store:
    """Train the study's configurations, or those that earlier sessions of it left, and return its store.

    `repeated_by` is the content of `REPEATED_BY`. A dry run says what all this will cost, and writes nothing.

    Claims are in the manifest before the first result, and each has its verdict at the end.

    Raises UserError, before anything is trained, for whatever of the options cannot be done. On Ctrl-C or at the
    time limit, finished trials are kept, those in flight are recorded as cancelled, and the same call continues; after
    Ctrl-C it raises KeyboardInterrupt.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    base, space, objectives = options.base_recipe(), options.space, options.resolved_objectives()
    recipes = space.recipes(base)
    for recipe in recipes:
        recipe.check_trainable(options.workers_per_trial, recipe.data.image_size)
    # Controls come first: with no more trials than these, nothing else of the space is trained.
    some = options.total <= len(space.controls)
    notes = check_possible(options.objectives, recipes[: options.total] if some else recipes)
    claims = _claims(options, base, recipes) if options.claim else []
    if options.plugin:
        from evae.testing.families import require  # imports torch

        require(options.plugins)
    store = Store(options.location)
    if not options.dry_run:
        store.prepare()
    with contextlib.nullcontext() if options.dry_run else sole_driver(store):
        images = data.load(base.data, options.data_root, options.stream)
        for recipe in recipes:
            recipe.check_trainable(options.workers_per_trial, images.image_size, len(images.train))
        _check_counts(images)
        notes += check_labels(options.accuracies, base.evaluation.downstream, images)
        notes += densities_said(recipes, images.image_size)
        exact = Exact(options.constraints(), images.image_size, images.channels)
        space, left_out = exact.restrict(space, recipes)
        notes += left_out
        check_truth(options.objectives, images)
        check_sharp(options.objectives, {split: getattr(images, split) for split in ("validation", "test")})
        manifest = Manifest(options, question, base, space.describe(base), objectives, images)
        notes += manifest.check_continues(store, options.resume, options.extend, options.accept_changed_plugins)
        searched = [(f"val_{metric}", direction) for metric, direction in objectives]
        rungs = None if options.early_stopping == "none" else Rungs(options.early_stopping, options.epochs, searched)
        history = read_history(store)
        if rungs is not None:
            rungs.take_over(store.rows("epochs"), history)
        _check_resumable(store, history)
        notes += said_of_longer(store, history, options.epochs)
        pool = open_pool(options, store, images)
        notes += said(pool, bool(claims))
        searcher = StudySearcher(
            space,
            base,
            searched,
            total=len(space.controls) if space.is_grid else options.total,
            seeds=options.seeds,
            sampler_seed=options.sampler_seed,
            make_sampler=samplers[options.sampler],
            race=options.replicates == "race",
            rungs=rungs,
            confirmation=_confirmation(options, searched, manifest.state_claims(store, claims, history)),
            constraints=options.constraints(),
            exact=exact,
            history=history,
            pool=pool,
        )
        notes += _past(searcher, pool)
        console.print(_headline(options, base, images, searcher.confirmation))
        for note in notes:
            console.print(Text(note))
        # Imported when needed: whose options cannot be done does not wait for Ray and torch.
        if options.dry_run:
            from evae.study.dry_run import planned

            for line in planned(searcher, options, images, pool, recipes):
                console.print(Text(line))
            return store
        from evae.study.session import run_session

        if repeated_by:
            store.write_bytes("", REPEATED_BY, repeated_by)
        run_session(searcher, manifest, images, options, store, pool, console)
    return store


def _past(searcher: StudySearcher, pool: StudyPool) -> list[str]:
    """What became of trials of earlier sessions, and of what the sampler was told."""
    past, lines = searcher.past, []
    for lacking, number in pool.unmeasurable.items():
        past.leave_out(f"without {lacking}, and without weights to measure it from", number)
    if past.taken_over or past.outside or past.left_out:
        lines.append(str(past))
    if pool.own:
        lines.append(f"{len(pool.own)} trials of earlier sessions are measured from their weights, for what they lack")
    if past.told:
        lines.append(f"the sampler knows {past.told} configurations of the pool that fit the space")
    return lines


def _claims(options: StudyOptions, base: Recipe, recipes: Sequence[Recipe]) -> list[Claim]:
    """The claims of the command line; `recipes` are some of the space's, those of its controls first."""
    space, measured = options.space, (features_column(options.features), options.first_density)
    claims = parse(options.claim, known(space, base, recipes, options.total, measured))
    check_decidable(claims, dict(zip((control.label for control in space.controls), recipes, strict=False)))
    return claims


def _confirmation(
    options: StudyOptions, objectives: Sequence[tuple[str, str]], claims: Sequence[Stated]
) -> Confirmation | None:
    """What gets fresh seeds, if anything does."""
    race = options.replicates == "race"
    if not claims and options.until is None:
        found = Confirmation(options.confirm, objectives, race, options.constraints())
        return found if options.confirm else None
    seeds = max(options.confirm, FEWEST) if options.until else options.confirm
    return Deciding(
        seeds,
        objectives,
        race,
        options.constraints(),
        claims=claims,
        until_decided=options.until == "decided",
        budget=options.budget,
    )


def densities_said(recipes: Iterable[Recipe], image_size: ImageSize) -> list[str]:
    """What is to be known of how the densities of these recipes are fitted to their codes."""
    said = (
        each.said_of(recipe.network.code_shape(image_size, recipe.latent))
        for recipe in recipes
        for each in recipe.evaluation.densities
    )
    return [*filter(None, dict.fromkeys(said))]


def _check_counts(images: ImageSet) -> None:
    """Raise UserError where there are too few images to measure on."""
    for split in ("train", "validation", "test"):
        if (count := len(getattr(images, split))) < 2:
            raise UserError(
                f"{images.name} has only {count} {split} {images.kind[:-1]}(s) here, and at least 2 are needed; raise "
                f"--{split}-images, or give more {images.kind}. What is known of them: {'; '.join(images.notes)}"
            )


def read_history(store: Store) -> list[dict[str, Any]]:
    """The trials' rows of earlier sessions, with parameters and recipe as dicts again.

    Raises StoreError where one is there but cannot be read: what was trained once would be trained again over it.
    """
    rows, damaged = store.rows("trials"), {}
    known = {row["trial"] for row in rows}
    for folder, suffix in PARTS.items():
        if lost := sorted(store.sizes(folder, suffix).keys() - known):
            more = f" (and {len(lost) - 1} more such files)" if lost[1:] else ""
            raise UserError(
                f"{store.location} holds {folder}/{lost[0]}{suffix}{more}, but nothing in trials/ of that trial. "
                "Restore trials/ from a copy, or remove what is left of the trial in all folders to train it anew."
            )
    for row in rows:
        try:
            row |= {name: json.loads(row[name]) for name in ("params", "recipe")}
        except (KeyError, TypeError, ValueError):
            damaged[f"trials/{row.get('trial')}.parquet"] = "it does not say what was trained"
    if damaged:
        raise store.damaged("trials", damaged)
    return rows


def _check_resumable(store: Store, history: Iterable[Mapping[str, Any]]) -> None:
    """Raise StoreError where an interrupted trial could not go on from what it has left."""
    saved = store.sizes("checkpoints", ".safetensors")
    damaged = {}
    for trial in (row["trial"] for row in history if row["state"] not in ENDED and row["trial"] in saved):
        store.rows("epochs", trial)
        name = f"{trial}.safetensors"
        try:
            deserialize(store.read_bytes("checkpoints", name))
        except SafetensorError as error:
            damaged[f"checkpoints/{name}"] = str(error)
    if damaged:
        raise store.damaged("checkpoints", damaged)


def _headline(options: StudyOptions, base: Recipe, images: ImageSet, confirmation: Confirmation | None = None) -> Text:
    splits = f"{len(images.train)} / {len(images.validation)} / {len(images.test)}"
    codes = in_words(base.network.code_shape(images.image_size, base.latent))
    # Names are the user's: brackets in them are no markup.
    return Text.assemble(
        (options.name, "bold"),
        f": {_count(options.total, 'configuration')} x {_count(options.seeds, 'seed')}{fresh_seeds(confirmation)}, "
        f"{_count(options.epochs, 'epoch')} each, {options.size} {options.network} networks, {codes}\n"
        f"data {images.name}: {splits} train / validation / test {images.kind} of {_size(images)}"
        + (f", read from their files in training ({images.nbytes / 2**20:,.0f} MiB)" if images.streamed else ""),
    )


def _size(images: ImageSet) -> str:
    if images.kind == "points":
        return _count(images.channels, "number")
    return f"{in_px(images.image_size)}, {images.channels} channel(s)"


def fresh_seeds(confirmation: Confirmation | None) -> str:
    """What gets fresh seeds once the search is over, in words; "" where nothing does."""
    if confirmation is None:
        return ""
    if isinstance(confirmation, Deciding) and confirmation.until_decided:
        return ", then fresh seeds until all is decided"
    if confirmation.seeds:
        return f", then {_count(confirmation.seeds, 'fresh seed')} for those that are chosen"
    return f", then {FEWEST} fresh seeds for both sides of claims"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
