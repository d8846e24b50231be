"""The recipe that a study's options define, which its search space varies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evae.criteria import Criterion, criterion
from evae.data.base import DataRecipe
from evae.densities import density
from evae.errors import UserError
from evae.inference import inference
from evae.likelihoods import likelihood
from evae.networks import network
from evae.priors import prior
from evae.recipe import Evaluation, Optimisation, Recipe

if TYPE_CHECKING:
    from evae.study.options import StudyOptions


def recipe_of(options: StudyOptions) -> Recipe:
    """The recipe that a study's options define; a search space varies it."""
    family = likelihood[options.likelihood]
    return Recipe(
        data=DataRecipe(
            source=options.data,
            image_size=options.image_size,
            channels=options.channels,
            fit=options.fit,
            train_images=options.train_images,
            validation_images=options.validation_images,
            test_images=options.test_images,
            horizontal_flip=options.horizontal_flip,
        ),
        network=network[options.network].of_size(options.size),
        likelihood=family.for_points() if options.kind == "points" else family(),
        prior=None if options.prior is None else prior[options.prior](),
        criteria=tuple(map(_criterion, options.criteria)),
        inference=inference[options.inference](),
        importance_samples=options.importance_samples,
        latent=options.latent,
        optimisation=Optimisation(
            learning_rate=options.learning_rate,
            batch_size=options.batch_size,
            epochs=options.epochs,
            precision=options.precision,
            optimiser=options.optimiser,
            weight_decay=options.weight_decay,
            clip_norm=options.clip_norm,
            schedule=options.schedule,
            warm_up_epochs=options.warm_up_epochs,
            cosine_floor=options.cosine_floor,
            cosine_restarts=options.cosine_restarts,
            ema=options.ema,
            beta_warm_up_epochs=options.beta_warm_up_epochs,
            beta_cycles=options.beta_cycles,
            half_size_epochs=options.half_size_epochs,
            compiled=options.compiled,
        ),
        evaluation=Evaluation(
            features=options.features,
            densities=tuple(density[name]() for name in options.densities),
            downstream=options.label_counts,
            iw_samples=options.iw_samples,
            cost=options.measures_cost,
            perceptual=options.perceptual_distances,
        ),
    )


def _criterion(given: str) -> Criterion:
    """The criterion of "name", or of "name=weight". Raises UserError for what is neither."""
    name, equals, weight = given.partition("=")
    try:
        return criterion[name](weight=float(weight)) if equals else criterion[name]()
    except ValueError:
        raise UserError(f"{given!r}: the weight of a criterion must be a number, as in {name}=0.5") from None
