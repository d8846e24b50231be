"""A trained model measured: every metric on the test split, and again on the validation split (`val_`).

The search optimises the validation values; the test values are what is reported. Reconstruction (`rec_`) is measured
on the real images of the split, generation (`gen_`) on samples from the prior: they answer different questions.
"""

import io
from collections.abc import Mapping
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
from evae.metrics.sharpness import sharpness
from evae.training import Training, check_finite, generator

PRIOR, CODES, SUBSETS = range(100, 103)
"""The independent random streams of an evaluation."""
PREFIXES = {"test": "", "validation": "val_"}
TILES, STEPS, CHUNK = 32, 8, 250


@dataclass
class Evaluated:
    """`metrics` by column name, the identity of each distance by the same name, and pictures by kind."""

    metrics: dict[str, float | str | list[float]] = field(default_factory=dict)
    distances: dict[str, dict] = field(default_factory=dict)
    pictures: list[dict] = field(default_factory=list)


@torch.no_grad()
def evaluate(training: Training, features: Features, references: Mapping[str, Reference]) -> Evaluated:
    """Measure a trained model against the real images of each split in `references`.

    `references` maps "test" and "validation" (where there is one) to the statistics of that split's real images on
    `features`. Raises Diverged when a loss term is not finite.
    """
    result, samples = Evaluated(), None
    training.model.eval()
    for split, reference in references.items():
        real = tensor(getattr(training.images, split))
        if samples is None or len(samples) < len(real):
            samples = _samples(training, len(real))
            sampled = features(samples)
        rebuilt, measured = _reconstruct(training, real)
        drawn = {"rec": (rebuilt, features(rebuilt)), "gen": (samples[: len(real)], sampled[: len(real)])}
        for kind, (images, activations) in drawn.items():
            measured[f"{kind}_sharpness"] = float(sharpness(images).mean())
            distances = _distances(training, kind, activations, features, reference)
            measured |= distances
            for column in distances:
                result.distances[PREFIXES[split] + column] = distance_identity(
                    features, reference, n_generated=len(images), split=split, seed=training.recipe.evaluation.seed
                )
        measured["real_sharpness"] = reference.sharpness
        result.metrics |= {PREFIXES[split] + name: value for name, value in measured.items()}
    shown = tensor(training.images.test)[:TILES]
    result.pictures = _pictures(training, shown, samples[:TILES])
    return result


def _samples(training: Training, count: int) -> Tensor:
    """Images (count, c, h, w) decoded from draws of the prior; the same draws for every trial of a study."""
    noise = generator(training.device, training.recipe.evaluation.seed, PRIOR)
    return torch.cat([training.model.sample(len(c), noise) for c in torch.arange(count).split(CHUNK)])


def _reconstruct(training: Training, real: Tensor) -> tuple[Tensor, dict]:
    """Reconstructions of uint8 images, and what the model's terms, codes and pixels say about them."""
    model, posterior, recipe = training.model, training.recipe.posterior, training.recipe
    noise = generator(training.device, recipe.evaluation.seed, CODES)
    rebuilt, codes, sampled, rates = [], [], [], []
    sums = dict.fromkeys(("distortion_nats", "rate_nats", "rec_psnr_db", "rec_ssim"), 0.0)
    for chunk in real.split(CHUNK):
        x = chunk.to(training.device).float().div_(255)
        terms = model(x, noise)
        check_finite(terms, training.epoch)
        heads = model.encode(x)
        codes.append(posterior.mean(heads))
        sampled.append(posterior.sample(heads, noise))
        rates.append(posterior.rate(heads))
        rebuilt.append(model.decode(codes[-1] if recipe.evaluation.reconstruct_from == "mean" else sampled[-1]))
        sums["distortion_nats"] += float(terms["distortion"]) * len(x)
        sums["rate_nats"] += float(terms["rate"]) * len(x)
        sums["rec_psnr_db"] += float(psnr(rebuilt[-1], x).sum())
        sums["rec_ssim"] += float(ssim(rebuilt[-1], x).sum())
    measured: dict = {name: total / len(real) for name, total in sums.items()}
    if posterior.rate_is == "exact":
        measured["elbo_nats"] = -measured["distortion_nats"] - measured["rate_nats"]
    prior = posterior.sample_prior(len(real), recipe.latent, noise, training.device)
    measured |= {
        "rate_is": posterior.rate_is,
        "rate_per_latent": torch.cat(rates).double().mean(0).tolist(),
        "active_units": active_units(torch.cat(codes) / posterior.prior_std),
        "aggregate_w1": aggregate_w1(torch.cat(sampled), prior, posterior.prior_std),
    }
    return torch.cat(rebuilt), measured


def _distances(
    training: Training, kind: str, activations: Tensor, features: Features, reference: Reference
) -> dict[str, float]:
    moments = Moments()
    moments.update(activations)
    subsets = generator("cpu", training.recipe.evaluation.seed, SUBSETS)
    real = torch.from_numpy(np.array(reference.features))
    return {
        frechet_column(features, kind): frechet_distance(moments, reference.moments),
        kernel_column(features, kind): kernel_distance(activations.cpu(), real, subsets),
    }


def _pictures(training: Training, shown: Tensor, samples: Tensor) -> list[dict]:
    """Grids of real, reconstructed and sampled images, and straight lines between the codes of neighbours."""
    model, posterior = training.model, training.recipe.posterior
    x = shown.to(training.device).float().div_(255)
    codes = posterior.mean(model.encode(x))
    weights = torch.linspace(0, 1, STEPS, device=training.device)[:, None]
    pairs = codes[: STEPS * 2].split(2)[: len(codes) // 2]
    lines = torch.cat([model.decode(torch.lerp(*pair, weights)) for pair in pairs])
    grids = {"real": x, "reconstructed": model.decode(codes), "sampled": samples, "interpolated": lines}
    return [picture(kind, images) for kind, images in grids.items()]


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
