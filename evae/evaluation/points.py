"""What is measured of a model of points: its likelihood over the whole prior, and its codes beside the true ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from evae.models import VAE
from evae.posteriors import Posterior
from evae.shapes import Codes, Images

GRID, REACH, DRAWS = 4000, 8.0, 8000
"""Codes of the prior over which a density is integrated: where there is one latent whose prior has a known density, a
grid of so many, as many standard deviations to either side, else draws."""
BLOCKS = 8
"""Parts of the codes, without each of which the error is told."""
PAIRS = 400_000
"""Pairs of a point and a code that are computed at a time."""
SHOWN, SIDE, GRID_FEW, DECIMALS = 500, 48, 1000, 4
"""What of a model a report draws: points of a cloud, places a side of a grid, codes of its density, digits kept."""
CUTS = 20
"""Places at which a closed curve of codes is cut open to compare it with another: beside the codes of so many points
at the ends of the true curve."""


@dataclass(frozen=True)
class Density:
    """A model's density p(x) = INT p(x | z) p(z) dz as a sum over k codes: `outputs` (k, ...) are the decoder's, and
    `log_weights` (k,) ln of what each counts for. `how` says what the codes are: a "grid" or "draws".
    """

    model: VAE
    outputs: Tensor
    log_weights: Tensor
    how: str

    def blocks(self, x: Images) -> Float[Tensor, "blocks n"]:
        """ln of each part of the sum, of every `BLOCKS`th code, in nats."""
        logs = []
        for chunk in x.split(max(1, PAIRS // len(self.outputs))):
            found = self.log_weights - self.model.likelihood.of_pairs(self.outputs, chunk)
            logs.append(found.view(len(chunk), -1, BLOCKS).logsumexp(1))
        return torch.cat(logs).T

    def log(self, x: Images) -> Float[Tensor, " n"]:
        """ln p(x) of each point, in nats."""
        return self.blocks(x).logsumexp(0)

    def mean_log(self, x: Images) -> tuple[float, float]:
        """The mean of ln p(x), and its error from the choice of codes: of draws the standard error and the bias
        together, of a grid what half of it would change, an upper end. Both in nats.
        """
        blocks = self.blocks(x)
        mean = float(blocks.logsumexp(0).mean())
        if self.how == "grid":
            return mean, abs(float(blocks[::2].logsumexp(0).mean()) + math.log(2) - mean)
        left = torch.stack([torch.cat([blocks[:b], blocks[b + 1 :]]).logsumexp(0).mean() for b in range(BLOCKS)])
        left = left + math.log(BLOCKS / (BLOCKS - 1))
        # The jackknife's (Quenouille 1956, Tukey 1958) over blocks, which all points share.
        variance = (BLOCKS - 1) / BLOCKS * float((left - left.mean()).square().sum())
        bias = (BLOCKS - 1) * (float(left.mean()) - mean)
        return mean, math.sqrt(variance + bias**2)


@torch.no_grad()
def density(model: VAE, generator: torch.Generator, most: int | None = None) -> Density:
    """The density of a model, its prior integrated over `GRID` or `DRAWS` codes, or `most` (a multiple of `BLOCKS`)."""
    codes, log_weights, how = _grid_of_prior(model, generator, most or GRID) or _draws(model, generator, most or DRAWS)
    return Density(model, model.decoder(codes).float(), log_weights, how)


def _grid_of_prior(model: VAE, generator: torch.Generator, k: int) -> tuple[Codes, Tensor, str] | None:
    """None where the prior has several latents, no density that is known, or one that a grid does not integrate."""
    posterior = model.posterior
    known = type(posterior).prior_log_density is not Posterior.prior_log_density
    if model.latent != 1 or model.prior is not None or posterior.discrete or not known:
        return None
    mean, std = (float(torch.as_tensor(moment).detach()) for moment in (posterior.prior_mean, posterior.prior_std))
    z = torch.linspace(mean - REACH * std, mean + REACH * std, k, dtype=torch.float64, device=generator.device)
    log_weights = (posterior.prior_log_density(z[:, None])[:, 0] + torch.log(z[1] - z[0])).nan_to_num(nan=-math.inf)
    # Of a prior that reaches further, or is steeper than the grid is fine.
    if abs(float(log_weights.logsumexp(0))) > 1e-3:
        return None
    return z.float()[:, None], log_weights, "grid"


def _draws(model: VAE, generator: torch.Generator, k: int) -> tuple[Codes, Tensor, str]:
    weights = torch.full((k,), -math.log(k), dtype=torch.float64, device=generator.device)
    return model.sample_prior(k, generator), weights, "draws"


def likeness(codes: np.ndarray, truth: np.ndarray, closed: bool = False) -> float:
    """How well one latent's codes (n,) tell the true ones (n,): the correlation of these with the nearest increasing or
    decreasing function of the codes, since any monotone relabelling of a latent is the same model. On a closed curve a
    model may cut the circle open elsewhere: the best of `CUTS` places counts. 0 where either does not vary.
    """
    from sklearn.isotonic import IsotonicRegression

    if np.ptp(codes) == 0 or np.ptp(truth) == 0:
        return 0.0
    # Equal codes have equal ranks, so that no relabelling tells them apart.
    ranks = np.unique(codes, return_inverse=True)[1].astype(float)
    order, best = truth.argsort(), 0.0
    firsts = ranks[np.concatenate([order[: CUTS // 2], order[-CUTS // 2 :]])] if closed else [0.0]
    for first in {*firsts, *(rank + 1 for rank in firsts if closed)}:
        moved = (ranks - first) % (ranks.max() + 1)
        for increasing in (True, False):
            fitted = IsotonicRegression(increasing=increasing).fit_transform(moved, truth)
            if np.ptp(fitted) > 0:
                best = max(best, float(np.corrcoef(fitted, truth)[0, 1]))
    return best


@torch.no_grad()
def clouds(model: VAE, data: Images, train: np.ndarray, generator: torch.Generator) -> list[dict]:
    """What a report draws of a model of points, rows of the table `clouds`: up to `SHOWN` of the `data` (n, d, 1,
    1), what the means of their posteriors decode to, as many samples, and where points have one or two numbers ln p(x)
    in nats on a grid over the data. Points of more numbers are shown by the first two principal axes of `train`.
    """
    x = data[:SHOWN]
    shown = {"data": x, "reconstructed": model.decode(model.posterior.mean(model.encode(x)))}
    if model.rate_is != "none":
        outputs = model.decoder(model.sample_prior(len(x), generator)).float()
        shown["sampled"] = model.likelihood.draw(outputs, generator)
    axes = _axes(train)
    rows = [_cloud(kind, points.flatten(1).cpu().numpy(), axes) for kind, points in shown.items()]
    if axes is None and model.rate_is != "none" and model.likelihood.has_elbo:
        rows.append(_grid(density(model, generator, GRID_FEW), np.concatenate([train, data.cpu().numpy()])))
    return rows


def _axes(train: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The mean (d,) and the two first principal axes (d, 2) of points of more than two numbers."""
    rows = train[:, :, 0, 0].astype(np.float64)
    if rows.shape[1] <= 2:
        return None
    mean = rows.mean(0)
    axes = np.linalg.svd(rows - mean, full_matrices=False)[2][:2].T
    # Of an axis either sign would do: the greatest part is positive.
    return mean, axes * np.sign(axes[np.abs(axes).argmax(0), [0, 1]])


def _cloud(kind: str, rows: np.ndarray, axes: tuple[np.ndarray, np.ndarray] | None) -> dict:
    if axes is not None:
        rows = (rows - axes[0]) @ axes[1]
    columns = [np.round(column, DECIMALS).tolist() for column in rows.astype(np.float64).T]
    return {"kind": kind, "x": columns[0], "y": columns[1] if len(columns) > 1 else None, "values": None}


def _grid(found: Density, points: np.ndarray) -> dict:
    """ln p(x) on `SIDE` places in every direction, a little beyond the data: `values` has x in its inner loop."""
    rows = points[:, :, 0, 0].astype(np.float64)
    low, high = rows.min(0), rows.max(0)
    margin = 0.1 * (high - low) + 1e-6
    sides = [np.linspace(a - m, b + m, SIDE) for a, b, m in zip(low, high, margin, strict=True)]
    places = np.stack([side.ravel() for side in np.meshgrid(*sides)], axis=1)
    device = found.outputs.device
    values = found.log(torch.from_numpy(places).float()[:, :, None, None].to(device)).cpu().numpy()
    x, y = (*sides, None)[:2]
    kept = {"x": np.round(x, DECIMALS).tolist(), "y": None if y is None else np.round(y, DECIMALS).tolist()}
    return {"kind": "density", **kept, "values": np.round(values, 3).tolist()}
