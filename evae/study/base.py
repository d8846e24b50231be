"""The recipe that a study's options define, which its search space varies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evae.adversarial import Adversarial
from evae.criteria import criterion
from evae.data.base import DataRecipe
from evae.densities import density
from evae.errors import UserError
from evae.inference import inference
from evae.likelihoods import likelihood
from evae.networks import Network, discriminator, network
from evae.priors import prior
from evae.recipe import Evaluation, Optimisation, Recipe

if TYPE_CHECKING:
    from evae.study.options import StudyOptions


def recipe_of(options: StudyOptions) -> Recipe:
    """The recipe that a study's options define; a search space varies it."""
    family = likelihood[options.likelihood]
    networks = network[options.network].of_size(options.size)
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
        network=networks,
        likelihood=family.for_points() if options.kind == "points" else family(),
        prior=None if options.prior is None else prior[options.prior](),
        criteria=tuple(criterion[name](**weight) for name, weight in map(_weighted, options.criteria)),
        adversarial=None if options.discriminator is None else _adversarial(options.discriminator, networks),
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


def _adversarial(given: str, networks: Network) -> Adversarial:
    """With the discriminator of that name, as wide as the networks."""
    name, weight = _weighted(given)
    return Adversarial(discriminator=discriminator[name].of_width(getattr(networks, "width", 1.0)), **weight)


def _weighted(given: str) -> tuple[str, dict[str, float]]:
    """The name and the weight, where one is given, of "name" or "name=weight". Raises UserError for what is neither."""
    name, equals, weight = given.partition("=")
    try:
        return name, {"weight": float(weight)} if equals else {}
    except ValueError:
        raise UserError(f"{given!r}: the weight must be a number, as in {name}=0.5") from None
