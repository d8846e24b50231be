"""A trained model measured: every metric on the test split, and again on the validation split (`val_`).

The search optimises the validation values; the test values are what is reported. Reconstruction (`rec_`) is measured
on the real images of the split, generation on samples from the prior (`gen_`) and from densities that are fitted to
codes of training images afterwards (`xpd_<density>_`): they answer different questions.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from evae import cost
from evae.backbones.names import load
from evae.data import batch
from evae.densities import Density
from evae.evaluation.accuracies import accuracies
from evae.evaluation.evidence import log_likelihood
from evae.evaluation.ex_post import ExPost
from evae.evaluation.grids import grids
from evae.evaluation.points import clouds, density, likeness
from evae.evaluation.rows import CHUNK, CODES, PREFIXES, PRIOR, SUBSETS, WEIGHTS, WHOLE, noise_of, rows_of
from evae.hardware import threads_of_torch
from evae.metrics.base import Metric
from evae.metrics.base import of as registered
from evae.metrics.features import Features, frechet_column, kernel_column
from evae.metrics.frechet import Moments, frechet_distance, kernel_distance
from evae.metrics.latents import active_units, aggregate_w1, kl_units, sparseness
from evae.metrics.names import density_side
from evae.metrics.neighbours import nearest_code_ratio, precision_recall_density_coverage, ratio
from evae.metrics.perceptual import perceptual
from evae.metrics.reference import Reference, distance_identity
from evae.metrics.sharpness import sharpness_gap
from evae.ranks import Share
from evae.recording.functions import replayed
from evae.recording.program import replayable
from evae.training import Training

TILES = 32


@dataclass
class Evaluated:
    """`metrics` by column name, the identity of each distance, accuracy and likelihood by the same name, and pictures
    by kind, or of points `clouds`."""

    metrics: dict[str, float | str | list[float]] = field(default_factory=dict)
    distances: dict[str, dict] = field(default_factory=dict)
    pictures: list[dict] = field(default_factory=list)
    clouds: list[dict] = field(default_factory=list)


@threads_of_torch()
@torch.no_grad()
def evaluate(
    training: Training,
    features: Features | None,
    references: Mapping[str, Reference | None],
    pictures: bool = True,
    searched: Iterable[str] | None = None,
) -> Evaluated:
    """Measure a trained model against the real images of each split in `references`, and draw `pictures`.

    `references` maps "test" and "validation" (where there is one) to the statistics of that split's real images on
    `features`. `searched` are the metrics that a search looks at: on the validation split, samples from a density of
    which it looks at none are not measured, and neither are likelihoods and perceptual distances (None: all are). The
    ranks of a training share the images, and all return the same. Raises Diverged when a loss term is not finite.

    Points have neither `features` nor statistics on them: their likelihood is measured instead
    (`evae.evaluation.points`), and `clouds` are drawn.
    """
    result = Evaluated()
    result.metrics |= training.course.measured() | _learned(training)
    training.model.eval()
    if training.images.kind == "points":
        _evaluate_points(training, references, pictures, searched, result)
        return result
    perceived = {split: _perceptual(training, split, searched) for split in references}
    rebuilt = {split: _reconstruct(training, split, features, perceived[split]) for split in references}
    densities = {split: _wanted(training.recipe.evaluation.densities, split, searched) for split in references}
    ex_post = ExPost(training, max(densities.values(), key=len))
    drawn = {
        split: ex_post.draw(wanted, len(getattr(training.images, split)), list(PREFIXES).index(split))
        for split, wanted in densities.items()
    }
    for split, reference in references.items():
        rows, measured = rebuilt[split]
        images = {"rec": rows, "gen": _sample(training, split, features)}
        for side, codes in drawn[split].items():
            images[side] = _decode(training, codes, features)
            # Counts are equal without being copies.
            if not training.model.posterior.discrete:
                measured[f"{side}_nearest_code_ratio"] = nearest_code_ratio(codes.cpu(), rows["sampled"], ex_post.codes)
        measured |= ex_post.held_out([each.family for each in densities[split]], rows["sampled"])
        for side, seen in images.items():
            measured |= _taken(side, seen, reference)
            of_distances = _distances(training, split, side, seen["features"], features, reference)
            for column, value, identity in of_distances:
                measured[column] = value
                about = {"density": ex_post.about[side]} if side in ex_post.about else {}
                result.distances[PREFIXES[split] + column] = identity | about
        for name in perceived[split]:
            known = {"digest": load(name, training.device).digest, "n_measured": len(rows[name]), "split": split}
            result.distances[f"{PREFIXES[split]}rec_{name}"] = known
        of_images = [*accuracies(training, split), *_log_likelihoods(training, split, searched)]
        for column, value, identity in of_images:
            measured[column] = value
            result.distances[PREFIXES[split] + column] = identity
        measured["real_sharpness"] = reference.sharpness
        result.metrics |= {PREFIXES[split] + name: value for name, value in measured.items()}
    result.metrics |= _costs(training, references)
    if len(shape := training.model.code_shape) > 1:
        result.metrics["code_shape"] = " x ".join(map(str, shape))
    if ex_post.not_fitted:
        reasons = (f"{family}: {reason}" for family, reason in ex_post.not_fitted.items())
        result.metrics["not_fitted"] = "; ".join(reasons)
    if pictures:
        result.pictures = _pictures(training, drawn.get("test", {}))
    return result


def _costs(training: Training, splits: Iterable[str]) -> dict[str, float]:
    """What the model costs, if that is asked, by column: the same on every split."""
    costs = cost.measured(training) if training.recipe.evaluation.cost else {}
    return {f"{PREFIXES[split]}{name}": value for split in splits for name, value in costs.items()}


def _learned(training: Training) -> dict[str, float]:
    """What the likelihood has learned, by column, and its scale over the noise of the points, where that is known."""
    found = {f"likelihood_{name}": value for name, value in training.model.likelihood.shown().items()}
    if training.images.truth is not None and "likelihood_scale" in found:
        found["scale_ratio"] = found["likelihood_scale"] / training.images.truth.curve.noise
    return found


def _evaluate_points(
    training: Training, splits: Iterable[str], pictures: bool, searched: Iterable[str] | None, result: Evaluated
) -> None:
    for split in splits:
        rows, measured = _reconstruct(training, split, None)
        for column, value, identity in [
            *_whole_likelihoods(training, split, measured),
            *_log_likelihoods(training, split, searched),
        ]:
            measured[column] = value
            result.distances[PREFIXES[split] + column] = identity
        truth = training.images.truth
        if truth is not None and "codes" in rows and training.model.latent == 1:
            theirs = truth.latent_means[split]
            measured["code_correlation"] = likeness(rows["codes"][:, 0].numpy(), theirs, truth.curve.is_closed)
        result.metrics |= {PREFIXES[split] + name: value for name, value in measured.items()}
    result.metrics |= _costs(training, splits)
    if pictures:
        noise = noise_of(training, PRIOR, "test", training.device)
        data = batch(training.images.test, slice(None), training.device)
        result.clouds = clouds(training.model, data, training.images.train, noise)


def _whole_likelihoods(
    training: Training, split: str, measured: Mapping[str, float]
) -> Iterator[tuple[str, float, dict]]:
    """Column, value and identity of the mean log likelihood of a split's points over the whole prior, of what it lacks
    to the model that made them, where that is known, and of what the bound lacks to it."""
    model, truth = training.model, training.images.truth
    if model.rate_is == "none" or not model.likelihood.has_elbo:
        return
    known = density(model, noise_of(training, WHOLE, split, training.device))
    value, error = known.mean_log(batch(getattr(training.images, split), slice(None), training.device))
    about = {"codes": len(known.outputs), "how": known.how, "error_nats": error, "split": split}
    about["seed"] = training.recipe.evaluation.seed
    yield "log_likelihood_nats", value, about
    yield "log_likelihood_error_nats", error, about
    if truth is not None:
        yield "log_likelihood_gap_nats", float(truth.log_density[split].mean()) - value, about
    if "elbo_nats" in measured:
        yield "bound_gap_nats", value - measured["elbo_nats"], about


def _perceptual(training: Training, split: str, searched: Iterable[str] | None) -> tuple[str, ...]:
    """The perceptual distances that are measured on a split."""
    names = training.recipe.evaluation.perceptual
    return tuple(name for name in names if _is_wanted([f"rec_{name}"], split, searched))


def _is_wanted(columns: Iterable[str], split: str, searched: Iterable[str] | None) -> bool:
    """Whether what gives these columns of the test split is measured on this one: on the validation split, where the
    search looks at one of them."""
    looked_at = {name.removeprefix("val_") for name in searched or ()}
    return split == "test" or searched is None or bool(looked_at & {*columns})


def _wanted(densities: tuple[Density, ...], split: str, searched: Iterable[str] | None) -> tuple[Density, ...]:
    """The densities that are sampled from on a split."""
    if split == "test" or searched is None:
        return densities
    names = [column.removeprefix("val_") for column in searched]
    return tuple(each for each in densities if any(name.startswith(f"{density_side(each.family)}_") for name in names))


def _taken(kind: str, images: Mapping[str, Tensor], reference: Reference) -> dict[str, float]:
    """The metrics of images alone and of their features, by column."""
    means = {one.name: float(images[one.name].double().mean()) for one in registered("images")}
    found = {f"{kind}_{name}": mean for name, mean in means.items()}
    found[f"{kind}_sharpness_gap"] = sharpness_gap(means["sharpness"], reference.sharpness)
    rows, real = images["features"], reference.rows
    for one in registered("features") + (registered("samples") if kind != "rec" else []):
        found[f"{kind}_{one.name}"] = float(one.measure(rows, real))
    found[f"{kind}_nearest_image_ratio"] = ratio(reference.distance_to_train(rows), reference.train_distance)
    if kind != "rec":
        among = precision_recall_density_coverage(real, rows, reference.radii)
        found |= {f"{kind}_{name}": value for name, value in among.items()}
    return found


def _rows(metric: Metric, *images: Tensor) -> Tensor:
    """(n,): a metric of pairs or of images, one of ours as far as possible replayed."""
    measure = metric.measure
    return replayed(measure, measure, *images) if replayable(measure) else measure(*images)


def _seen(images: Tensor, features: Features) -> dict[str, Tensor]:
    """What is measured on images alone, a row each."""
    return {"features": features(images)} | {one.name: _rows(one, images) for one in registered("images")}


def _sample(training: Training, split: str, features: Features) -> dict[str, Tensor]:
    """What is seen on images decoded from draws of the prior, as many as the split has."""
    noise = noise_of(training, PRIOR, split, training.device)

    def measure(share: Share, _: slice) -> dict[str, Tensor]:
        codes = training.model.sample_prior(share.whole, noise)
        return _seen(training.model.decode(codes[share.rows]), features)

    return rows_of(training, len(getattr(training.images, split)), measure)


def _decode(training: Training, codes: Tensor, features: Features) -> dict[str, Tensor]:
    """What is seen on images decoded from codes (n, latent)."""

    def measure(_: Share, which: slice) -> dict[str, Tensor]:
        return _seen(training.model.decode(codes[which]), features)

    return rows_of(training, len(codes), measure)


def _reconstruct(
    training: Training, split: str, features: Features | None, distances: tuple[str, ...] = ()
) -> tuple[dict[str, Tensor], dict]:
    """What is seen on reconstructions of a split's images, with these perceptual distances, and what the model's terms,
    codes and pixels say of them; of points, without features, the terms and codes."""
    model, posterior, recipe = training.model, training.model.posterior, training.recipe
    losses, has_prior = training.losses(split), model.rate_is != "none"
    pairs = [] if features is None else registered("pairs")
    real, noise = getattr(training.images, split), noise_of(training, CODES, split, training.device)

    def measure(share: Share, which: slice) -> dict[str, Tensor]:
        x = batch(real, which, training.device)
        heads = model.encode(x)
        codes, sampled = posterior.mean(heads), share.sample(posterior.sample, heads, noise)
        outputs = model.decoder(codes).float()
        is_mean = recipe.evaluation.reconstruct_from == "mean"
        rebuilt = model.means(outputs) if is_mean else model.decode(sampled)
        target = model.looked_at(x)
        return {
            "of_mean": model.likelihood.distortions(outputs, x),
            **{one.name: _rows(one, rebuilt, target) for one in pairs},
            **{name: perceptual(name, rebuilt, target) for name in distances},
            "sampled": sampled,
            **({"codes": codes, "rates": posterior.rate(heads)} if has_prior else {}),
            **({} if features is None else _seen(rebuilt, features)),
        }

    rows = rows_of(training, len(real), measure)
    names = *(one.name for one in pairs), *distances
    measured: dict = {f"rec_{name}": float(rows[name].double().mean()) for name in names}
    measured |= {name: losses[name] for name in ("distortion_nats", "rate_nats", "elbo_nats") if name in losses}
    if model.likelihood.has_distortion:
        measured["distortion_of_mean_nats"] = float(rows["of_mean"].double().mean())
    measured["rate_is"] = model.rate_is
    if has_prior:
        prior = model.sample_prior(len(real), noise).cpu()
        scale = posterior.prior_std if model.prior is None else float(prior.std())
        scale = scale.cpu() if isinstance(scale, Tensor) else scale
        measured["active_units"] = active_units(rows["codes"] / scale)
        measured["aggregate_w1"] = aggregate_w1(rows["sampled"], prior, scale)
    if posterior.nonnegative:
        measured["zeros_share"] = float((rows["sampled"] == 0).double().mean())
        measured["lifetime_sparseness"] = sparseness(rows["sampled"], 0)
        if model.latent > 1:
            measured["population_sparseness"] = sparseness(rows["sampled"], 1)
    if model.rate_is == "exact":
        measured["kl_units"] = kl_units(rows["rates"])
    if has_prior and model.prior is None:
        rates = rows["rates"].double().mean(0)
        if len(model.code_shape) == 1:
            measured["rate_per_latent"] = rates.tolist()
        else:
            measured["rate_per_channel"] = rates.view(model.code_shape).sum((1, 2)).tolist()
    return rows, measured


def _log_likelihoods(
    training: Training, split: str, searched: Iterable[str] | None
) -> Iterator[tuple[str, float, dict]]:
    """Column, value and identity of the negative log likelihood of a split's images, where it is asked for and can be
    estimated."""
    model, samples = training.model, training.recipe.evaluation.iw_samples
    if not samples or not model.has_log_likelihood:
        return
    if not _is_wanted(["nll_nats", "bits_per_dim"], split, searched):
        return
    real, noise = getattr(training.images, split), noise_of(training, WEIGHTS, split, training.device)

    def measure(share: Share, which: slice) -> dict[str, Tensor]:
        x = batch(real, which, training.device)
        return {"found": log_likelihood(model, x, samples, noise, share)}

    nats = -float(rows_of(training, len(real), measure)["found"].double().mean())
    known = {"samples": samples, "n_measured": len(real), "split": split, "seed": training.recipe.evaluation.seed}
    yield "nll_nats", nats, known
    if model.likelihood.of_levels:
        yield "bits_per_dim", nats / (math.prod(real.shape[1:]) * math.log(2)), known


def _distances(
    training: Training, split: str, kind: str, activations: Tensor, features: Features, reference: Reference
) -> Iterator[tuple[str, float, dict]]:
    """Column, value and identity of each distance."""
    moments = Moments()
    moments.update(activations)
    drawn = noise_of(training, SUBSETS, split, "cpu")
    kernel = kernel_distance(activations, reference.rows, drawn, paired=kind == "rec")
    for column, value, is_kernel in (
        (frechet_column(features, kind), frechet_distance(moments, reference.moments), False),
        (kernel_column(features, kind), kernel, True),
    ):
        known = {"n_generated": len(activations), "split": split, "seed": training.recipe.evaluation.seed}
        yield column, value, distance_identity(features, reference, kind=kind, kernel=is_kernel, **known)


def _pictures(training: Training, drawn: Mapping[str, Tensor]) -> list[dict]:
    """Of the first test images, with codes `drawn` from densities."""
    test = training.images.test
    # The first of the samples that were measured, which were drawn a chunk at a time.
    noise = noise_of(training, PRIOR, "test", training.device)
    sampled = training.model.sample_prior(min(CHUNK, len(test)), noise)
    return grids(training.model, batch(test, slice(TILES), training.device), sampled, drawn)
