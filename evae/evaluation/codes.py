"""The codes of training images, to which densities are fitted."""

import torch
from torch import Tensor

from evae.data import batch
from evae.training import Training, generator

CODES = 10_000
"""At most so many training images are coded: those that are first in the split's fixed random order."""
NUMBERS = 1 << 26
"""At most so many numbers all codes together have, 256 MiB: of code maps of 16,384 numbers there are 4,096."""
CHUNK = 500
DRAWS = 400
"""The random stream of the codes' noise, beside those of an evaluation."""


@torch.no_grad()
def training_codes(training: Training, count: int | None = None) -> Tensor:
    """Sampled codes (n, latent), float32 on the CPU, of the first `count` training images (by default `CODES`, or fewer
    where there are fewer, or where codes have more than `NUMBERS`): one draw of the posterior each, which is what the
    decoder was trained on.

    The noise is of the evaluation's seed, the same for every trial of a study. The ranks of a training share the
    images, and all return the same.
    """
    model, recipe = training.model, training.recipe
    images = training.images.train
    count = min(CODES, max(2, NUMBERS // model.latent)) if count is None else count
    coded = torch.arange(min(len(images), count))
    noise = generator(training.device, recipe.evaluation.seed, 0, DRAWS)
    model.eval()
    found = []
    for chunk in coded.split(CHUNK):
        share = training.ranks.share(len(chunk))
        heads = model.encode(batch(images, chunk[share.rows], training.device))
        found.append(share.gather(share.sample(model.posterior.sample, heads, noise)))
    return torch.cat(found).cpu()
