"""Pictures: tiles in a grid, the code maps of images, and codes of which one number is moved."""

import io

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from evae.shapes import Codes, Images
from evae.signals import in_colours

COLUMNS = 8
"""Tiles in a row, unless told otherwise."""
PERTURBED, DELTAS = 4, torch.linspace(-20, 20, 9)
"""How many latents are perturbed, and by how many standard deviations of theirs."""
SHOWN, REACH = 4, 3.0
"""How many images' code maps are shown, and how many standard deviations of a channel its grey levels reach."""


def perturbations(
    codes: Codes, std: Float[Tensor, "n latent"], channels: int | None = None
) -> Float[Tensor, "moved latent"]:
    """The first image's code with one latent moved by each of `DELTAS`: a row of codes for each of the (at most)
    `PERTURBED` latents whose means vary most among the images; of code maps with so many `channels` one for each of
    these. Shape (latents * deltas, latent).

    `codes` (n, latent) are the posteriors' means, `std` (n, latent) their standard deviations. A latent's unit is the
    standard deviation of the mixture of its posteriors: near the prior's where a model fills its prior, and not tied
    to it where the rate leaves the means free.
    """
    between = codes.var(0, correction=0)
    units = (between + std.square().mean(0)).sqrt()
    most, places = between.unflatten(0, (channels or codes.shape[1], -1)).max(1)
    which = most.argsort(descending=True, stable=True)[:PERTURBED]
    chosen = which * (codes.shape[1] // len(most)) + places[which]
    moved = codes[0].repeat(len(chosen), len(DELTAS), 1)
    moved[range(len(chosen)), :, chosen] += units[chosen, None] * DELTAS.to(codes.device)
    return moved.flatten(0, 1)


def code_maps(x: Images, codes: Codes, shape: tuple[int, ...]) -> tuple[Float[Tensor, "tiles channels _ _"], int]:
    """Tiles, and how many make a row: the first images, each with the channels of its code map (n, *shape), as many as
    there is room for.

    A channel is black at `REACH` standard deviations below the mean of that channel over all codes and places given
    here, white at as many above, and grey in the middle; it is enlarged to the image's size, each place a rectangle.
    """
    maps = codes.float().unflatten(1, shape)
    std, mean = torch.std_mean(maps, (0, 2, 3), correction=0, keepdim=True)
    levels = (0.5 + (maps - mean) / (2 * REACH * std.clamp(min=1e-12))).clamp(0, 1)[:SHOWN, : COLUMNS - 1]
    enlarged = F.interpolate(levels, size=x.shape[2:], mode="nearest")[:, :, None].expand(-1, -1, x.shape[1], -1, -1)
    rows = torch.cat([x[:SHOWN, None], enlarged], 1)
    return rows.flatten(0, 1), rows.shape[1]


def picture(kind: str, images: Tensor, columns: int = COLUMNS) -> dict:
    """A row of the images table: tiles (n, c, h, w) in [0, 1] as one PNG, `columns` to a row, without gaps;
    of other than 1 or 3 channels in false colours (`evae.signals.in_colours`). `image_size` is the tiles' height."""
    columns = min(columns, len(images))
    rows = len(images) // columns
    images = in_colours(images[: rows * columns].float())
    c, h, w = images.shape[1:]
    grid = images.mul(255).round().clamp(0, 255).byte().cpu()
    grid = grid.view(rows, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c)
    buffer = io.BytesIO()
    Image.fromarray(grid.squeeze(-1).numpy()).save(buffer, "PNG")
    return {"kind": kind, "columns": columns, "rows": rows, "image_size": h, "png": buffer.getvalue()}
