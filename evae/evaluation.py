"""A trained model measured: every metric on the test split, and again on the validation split (`val_`).

The search optimises the validation values; the test values are what is reported. Reconstruction (`rec_`) is measured
on the real images of the split, generation (`gen_`) on samples from the prior: they answer different questions.
"""

import io
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from evae.data import tensor
from evae.metrics.features import Features, frechet_column, kernel_column
from evae.metrics.frechet import Moments, frechet_distance, kernel_distance
from evae.metrics.latents import active_units, aggregate_w1
from evae.metrics.reconstruction import psnr, ssim
from evae.metrics.reference import Reference, distance_identity
from evae.metrics.sharpness import sharpness, sharpness_gap
from evae.ranks import Share
from evae.training import Training, check_finite, generator

PRIOR, CODES, SUBSETS = range(100, 103)
"""The independent random streams of an evaluation."""
PREFIXES = {"test": "", "validation": "val_"}
TILES, STEPS, CHUNK = 32, 8, 250
PERTURBED, DELTAS = 4, torch.linspace(-20, 20, 9)
"""How many latents are perturbed, and by how many standard deviations of theirs."""


@dataclass
class Evaluated:
    """`metrics` by column name, the identity of each distance by the same name, and pictures by kind."""

    metrics: dict[str, float | str | list[float]] = field(default_factory=dict)
    distances: dict[str, dict] = field(default_factory=dict)
    pictures: list[dict] = field(default_factory=list)


@torch.no_grad()
def evaluate(
    training: Training, features: Features, references: Mapping[str, Reference], pictures: bool = True
) -> Evaluated:
    """Measure a trained model against the real images of each split in `references`, and draw `pictures`.

    `references` maps "test" and "validation" (where there is one) to the statistics of that split's real images on
    `features`. The ranks of a training share the images, and all return the same. Raises Diverged when a loss term is
    not finite.
    """
    result = Evaluated()
    training.model.eval()
    counts = {split: len(getattr(training.images, split)) for split in references}
    sampled = _sample(training, max(counts.values()), features)
    for split, reference in references.items():
        rebuilt, measured = _reconstruct(training, tensor(getattr(training.images, split)), features)
        for kind, images in {"rec": rebuilt, "gen": sampled}.items():
            images = {name: rows[: counts[split]] for name, rows in images.items()}
            measured[f"{kind}_sharpness"] = mean = float(images["sharpness"].mean())
            measured[f"{kind}_sharpness_gap"] = sharpness_gap(mean, reference.sharpness)
            distances = _distances(training, kind, images["features"], features, reference)
            measured |= distances
            for column in distances:
                result.distances[PREFIXES[split] + column] = distance_identity(
                    features, reference, n_generated=counts[split], split=split, seed=training.recipe.evaluation.seed
                )
        measured["real_sharpness"] = reference.sharpness
        result.metrics |= {PREFIXES[split] + name: value for name, value in measured.items()}
    if pictures:
        result.pictures = _pictures(training, tensor(training.images.test)[:TILES], max(counts.values()))
    return result


def _seen(images: Tensor, features: Features) -> dict[str, Tensor]:
    """What is measured on images alone, a row each."""
    return {"sharpness": sharpness(images), "features": features(images)}


def _over(training: Training, count: int, measure: Callable[[Share, slice], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Rows for `count` images, on the CPU (not every device has float64): `measure` gives those of this rank's share of
    a chunk, all ranks' are put together."""
    found = defaultdict(list)
    for first in range(0, count, CHUNK):
        share = training.ranks.share(min(CHUNK, count - first))
        for name, rows in measure(share, slice(first + share.start, first + share.stop)).items():
            found[name].append(share.gather(rows))
    return {name: torch.cat(rows).cpu() for name, rows in found.items()}


def _sample(training: Training, count: int, features: Features) -> dict[str, Tensor]:
    """What is seen on `count` images decoded from draws of the prior; the same draws for every trial of a study."""
    noise = generator(training.device, training.recipe.evaluation.seed, PRIOR)
    posterior, latent = training.recipe.posterior, training.recipe.latent

    def measure(share: Share, _: slice) -> dict[str, Tensor]:
        codes = posterior.sample_prior(share.whole, latent, noise, training.device)
        return _seen(training.model.decode(codes[share.rows]), features)

    return _over(training, count, measure)


def _reconstruct(training: Training, real: Tensor, features: Features) -> tuple[dict[str, Tensor], dict]:
    """What is seen on reconstructions of uint8 images, and what the model's terms, codes and pixels say of them."""
    model, posterior, recipe = training.model, training.recipe.posterior, training.recipe
    noise = generator(training.device, recipe.evaluation.seed, CODES)

    def measure(share: Share, which: slice) -> dict[str, Tensor]:
        x = real[which].to(training.device).float().div_(255)
        terms = model(x, noise, share)
        heads = model.encode(x)
        codes, sampled = posterior.mean(heads), share.sample(posterior.sample, heads, noise)
        rebuilt = model.decode(codes if recipe.evaluation.reconstruct_from == "mean" else sampled)
        return {
            "distortion_nats": terms["distortion"].expand(len(x)),
            "rec_psnr_db": psnr(rebuilt, x),
            "rec_ssim": ssim(rebuilt, x),
            "codes": codes,
            "sampled": sampled,
            "rates": posterior.rate(heads),
            **_seen(rebuilt, features),
        }

    rows = _over(training, len(real), measure)
    measured: dict = {
        name: float(rows[name].double().mean()) for name in ("distortion_nats", "rec_psnr_db", "rec_ssim")
    }
    measured["rate_nats"] = float(rows["rates"].double().sum(1).mean())
    check_finite({name: torch.tensor(measured[f"{name}_nats"]) for name in ("distortion", "rate")}, training.epoch)
    if model.has_elbo:
        measured["elbo_nats"] = -measured["distortion_nats"] - measured["rate_nats"]
    prior = posterior.sample_prior(len(real), recipe.latent, noise, training.device).cpu()
    measured |= {
        "rate_is": posterior.rate_is,
        "rate_per_latent": rows["rates"].double().mean(0).tolist(),
        "active_units": active_units(rows["codes"] / posterior.prior_std),
        "aggregate_w1": aggregate_w1(rows["sampled"], prior, posterior.prior_std),
    }
    return rows, measured


def _distances(
    training: Training, kind: str, activations: Tensor, features: Features, reference: Reference
) -> dict[str, float]:
    moments = Moments()
    moments.update(activations)
    subsets = generator("cpu", training.recipe.evaluation.seed, SUBSETS)
    real = torch.from_numpy(np.array(reference.features))
    return {
        frechet_column(features, kind): frechet_distance(moments, reference.moments),
        kernel_column(features, kind): kernel_distance(activations, real, subsets),
    }


def _pictures(training: Training, shown: Tensor, count: int) -> list[dict]:
    """Grids of real, reconstructed and sampled images, straight lines between the codes of neighbours, and
    perturbations of single latents (Rivera, arXiv 2309.13160, figures 5 and 4)."""
    model, posterior = training.model, training.recipe.posterior
    # The first of the samples that were measured.
    noise = generator(training.device, training.recipe.evaluation.seed, PRIOR)
    drawn = posterior.sample_prior(min(CHUNK, count), training.recipe.latent, noise, training.device)
    samples = model.decode(drawn[: len(shown)])
    x = shown.to(training.device).float().div_(255)
    heads = model.encode(x)
    codes = posterior.mean(heads)
    weights = torch.linspace(0, 1, STEPS, device=training.device)[:, None]
    pairs = codes[: STEPS * 2].split(2)[: len(codes) // 2]
    lines = torch.cat([model.decode(torch.lerp(*pair, weights)) for pair in pairs])
    grids = {"real": x, "reconstructed": model.decode(codes), "sampled": samples, "interpolated": lines}
    perturbed = model.decode(perturbations(codes, posterior.std(heads)))
    return [
        *(picture(kind, images) for kind, images in grids.items()),
        picture("perturbed", perturbed, columns=len(DELTAS)),
    ]


def perturbations(codes: Tensor, std: Tensor) -> Tensor:
    """The first image's code with one latent moved by each of `DELTAS`: a row of codes for each of the (at most)
    `PERTURBED` latents whose means vary most among the images. Shape (latents * deltas, latent).

    `codes` (n, latent) are the posteriors' means, `std` (n, latent) their standard deviations. A latent's unit is the
    standard deviation of the mixture of its posteriors: near the prior's where a model fills its prior, and not tied
    to it where the rate leaves the means free.
    """
    between = codes.var(0, correction=0)
    units = (between + std.square().mean(0)).sqrt()
    chosen = between.argsort(descending=True, stable=True)[:PERTURBED]
    moved = codes[0].repeat(len(chosen), len(DELTAS), 1)
    moved[range(len(chosen)), :, chosen] += units[chosen, None] * DELTAS.to(codes.device)
    return moved.flatten(0, 1)


def picture(kind: str, images: Tensor, columns: int = STEPS) -> dict:
    """A row of the images table: tiles (n, c, h, w) in [0, 1] as one PNG, `columns` to a row, without gaps."""
    columns = min(columns, len(images))
    rows = len(images) // columns
    n, c, h, w = images[: rows * columns].shape
    grid = images[:n].float().mul(255).round().clamp(0, 255).byte().cpu()
    grid = grid.view(rows, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c)
    buffer = io.BytesIO()
    Image.fromarray(grid.squeeze(-1).numpy()).save(buffer, "PNG", optimize=True)
    return {"kind": kind, "columns": columns, "rows": rows, "image_size": h, "png": buffer.getvalue()}
