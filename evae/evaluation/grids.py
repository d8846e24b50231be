"""What a trained model makes of some images, as grids of pictures."""

from collections.abc import Mapping

import torch
from torch import Tensor

from evae.evaluation.tiles import COLUMNS, DELTAS, code_maps, perturbations, picture
from evae.models import VAE


@torch.no_grad()
def grids(model: VAE, x: Tensor, sampled: Tensor, drawn: Mapping[str, Tensor]) -> list[dict]:
    """Grids of images x (n, c, h, w), their reconstructions, images of codes `sampled` from the prior and `drawn` from
    densities, the code maps where codes are such, straight lines between the codes of neighbours, and perturbations of
    single latents (Rivera, arXiv 2309.13160, figures 5 and 4). Rows of the images table.
    """
    heads = model.encode(x)
    codes = model.posterior.mean(heads)
    weights = torch.linspace(0, 1, COLUMNS, device=x.device)[:, None]
    pairs = codes[: COLUMNS * 2].split(2)[: len(codes) // 2]
    shown = {"real": model.looked_at(x), "reconstructed": model.decode(codes)}
    shown["sampled"] = model.decode(sampled[: len(x)])
    shown |= {f"sampled_{side}": model.decode(given[: len(x)]) for side, given in drawn.items()}
    shown["interpolated"] = torch.cat([model.decode(torch.lerp(*pair, weights)) for pair in pairs])
    moved = perturbations(codes, model.posterior.std(heads), model.code_shape[0])
    with_maps = len(model.code_shape) > 1
    maps = [picture("code_maps", *code_maps(shown["real"], codes, model.code_shape))] if with_maps else []
    return [
        *(picture(kind, images) for kind, images in shown.items()),
        *maps,
        picture("perturbed", model.decode(moved), columns=len(DELTAS)),
    ]
