"""Objectives that no training can give a finite value, found before hours are spent on them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from evae.data.base import SMALLEST_IMAGE_PX, ImageSet
from evae.errors import UserError
from evae.recipe import Recipe
from evae.search.claims import Claim, Comparison
from evae.search.objectives import DIVERGENCES, directions, labels_of

CHUNK = 256
"""Images that are looked at at a time."""


def rate_is(recipe: Recipe) -> str:
    """What the rate of this recipe's models is."""
    return recipe.posterior.rate_is if recipe.prior is None else "estimated"


def _no_divergence(recipe: Recipe) -> str | None:
    return None if rate_is(recipe) in DIVERGENCES else f"the {recipe.posterior.family} posterior"


def _no_distortion(recipe: Recipe) -> str | None:
    return None if recipe.likelihood.has_distortion else f"the {recipe.likelihood.family} likelihood"


def _no_elbo(recipe: Recipe) -> str | None:
    whole = None if recipe.likelihood.has_elbo else f"the {recipe.likelihood.family} likelihood"
    return _no_divergence(recipe) or whole


def _no_prior(recipe: Recipe) -> str | None:
    return f"the {recipe.posterior.family} posterior" if rate_is(recipe) == "none" else None


def _no_exact_rate(recipe: Recipe) -> str | None:
    if recipe.prior is not None:
        return f"the {recipe.prior.family} prior"
    return None if recipe.posterior.rate_is == "exact" else f"the {recipe.posterior.family} posterior"


def _not_sparse(recipe: Recipe) -> str | None:
    return None if recipe.posterior.nonnegative else f"the {recipe.posterior.family} posterior"


def _no_population(recipe: Recipe) -> str | None:
    shape = recipe.network.code_shape(recipe.data.image_size or SMALLEST_IMAGE_PX, recipe.latent)
    return _not_sparse(recipe) or ("one latent" if shape == (1,) else None)


def _no_log_likelihood(recipe: Recipe) -> str | None:
    if not recipe.evaluation.iw_samples:
        return "0 --iw-samples"
    if not recipe.posterior.has_density(own_prior=recipe.prior is None):
        return f"the {recipe.posterior.family} posterior"
    return None if recipe.likelihood.has_elbo else f"the {recipe.likelihood.family} likelihood"


def _no_bits(recipe: Recipe) -> str | None:
    levels = None if recipe.likelihood.of_levels else f"the {recipe.likelihood.family} likelihood"
    return levels or _no_log_likelihood(recipe)


def _no_density(recipe: Recipe) -> str | None:
    whole = None if recipe.likelihood.has_elbo else f"the {recipe.likelihood.family} likelihood"
    return _no_prior(recipe) or whole


LACKING: dict[str, Callable[[Recipe], str | None]] = {
    "distortion_nats": _no_distortion,
    "distortion_of_mean_nats": _no_distortion,
    "rate_nats": _no_divergence,
    "elbo_nats": _no_elbo,
    "nll_nats": _no_log_likelihood,
    "bits_per_dim": _no_bits,
    "log_likelihood_nats": _no_density,
    "log_likelihood_gap_nats": _no_density,
    "bound_gap_nats": _no_elbo,
    "code_correlation": lambda recipe: None if recipe.latent == 1 else "more than one latent",
    "active_units": _no_prior,
    "aggregate_w1": _no_prior,
    "kl_units": _no_exact_rate,
    "lifetime_sparseness": _not_sparse,
    "population_sparseness": _no_population,
    "zeros_share": _not_sparse,
}
"""What of a recipe, if anything, leaves it without a number for an objective. All others every recipe has."""


OF_TRUTH = ("log_likelihood_gap_nats", "code_correlation")
"""Objectives that compare a model with the one that made the points."""


def check_possible(objectives: Sequence[str], recipes: Sequence[Recipe]) -> list[str]:
    """What is to be said of objectives, by their short names, that only some of a study's recipes can have.

    Raises UserError where no recipe can have them all: the search would learn nothing, and rank nothing.
    """
    lacking = {name: [LACKING[name](recipe) for recipe in recipes] for name in objectives if name in LACKING}
    why = {name: sorted({part for part in parts if part}) for name, parts in lacking.items() if any(parts)}
    if all(any(parts) for parts in zip(*lacking.values(), strict=True)) and lacking:
        said = "; ".join(f"{name} is not known with {_either(parts)}" for name, parts in why.items())
        known = [
            n
            for n in directions(recipes[0].data.kind)
            if n not in objectives and not labels_of(n) and not any(map(LACKING.get(n, lambda _: None), recipes))
        ]
        raise UserError(
            f"no configuration of this study can have a finite {' and '.join(why)}: {said}. Choose other --objectives, "
            f"such as {', '.join(known)}."
        )
    return [
        f"{name} is not known with {_either(parts)}: such configurations are trained and shown, but not ranked"
        for name, parts in why.items()
    ]


def check_decidable(claims: Iterable[Claim], named: Mapping[str, Recipe]) -> None:
    """Raise UserError for a claim about a configuration that can have no value of its metric; `named` are the recipes
    of configurations by their labels."""
    for claim in claims:
        for side in (claim.left, claim.right) if isinstance(claim, Comparison) else ():
            lacks = LACKING.get(claim.metric)
            if lacks and side in named and (why := lacks(named[side])):
                raise UserError(f"the claim {claim.text!r} cannot be decided: {claim.metric} is not known with {why}")


def _either(parts: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def check_sharp(objectives: Sequence[str], splits: dict[str, np.ndarray]) -> None:
    """Raise UserError where real images (n, c, h, w) of each split have no sharpness to compare with."""
    gaps = [name for name in objectives if name.endswith("_sharpness_gap")]
    for split, images in splits.items():
        if gaps and all(_is_flat(images[first : first + CHUNK]) for first in range(0, len(images), CHUNK)):
            raise UserError(
                f"the real {split} images have no sharpness, since none has an edge or any grain: {' and '.join(gaps)} "
                "can be finite for no model. Choose other --objectives, such as gen_fd and rec_psnr_db."
            )


def check_truth(objectives: Sequence[str], images: ImageSet) -> None:
    """Raise UserError for objectives that compare with the model that made the points, where that is not known."""
    if (wanted := [name for name in objectives if name in OF_TRUTH]) and images.truth is None:
        raise UserError(
            f"the model that made {images.name} is not known, which {' and '.join(wanted)} needs: take "
            "log_likelihood_nats, or points of a curve, such as points:moon."
        )


def check_labels(objectives: Sequence[str], counts: Sequence[int], images: ImageSet) -> list[str]:
    """What is to be said of accuracies with these many training labels.

    Raises UserError where the images have none, or fewer than an objective needs.
    """
    if not counts:
        return []
    wanted = " and ".join([*filter(labels_of, objectives)] or ["--downstream"])
    labels = images.labels
    lacking = [split for split in ("validation", "test") if labels is None or not (getattr(labels, split) >= 0).any()]
    if lacking:
        which = "" if labels is None else f" of its {' and '.join(lacking)} images"
        raise UserError(
            f"{images.name} has no labels{which}, which {wanted} needs: leave that out, or take images that have them, "
            "such as mnist-5k, fashion-mnist, or a folder of one folder for each class."
        )
    there = int((labels.train >= 0).sum())
    if short := [name for name in objectives if (labels_of(name) or 0) > there]:
        raise UserError(
            f"{' and '.join(short)} cannot be measured: {images.name} has {there:,} training images with a label here. "
            "Take fewer labels, or more training images."
        )
    over = [f"{count:,}" for count in counts if count > there]
    many = f"there are {there:,} training images with a label"
    return [f"no accuracies with {' or '.join(over)} labels: {many}"] if over else []


def _is_flat(images: np.ndarray) -> bool:
    """Whether the Laplacian of each image and channel is the same everywhere, so that its variance is 0 exactly."""
    x = images.astype(np.int16 if images.dtype == np.uint8 else np.float64)
    neighbours = x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    response = neighbours - 4 * x[..., 1:-1, 1:-1]
    return bool((response == response[..., :1, :1]).all())
