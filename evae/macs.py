"""How many multiplications a recipe's networks take, known before training, and the arithmetic chosen by it."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from evae.hardware import resolve_precision
from evae.models import VAE, build_model
from evae.recipe import Recipe
from evae.sizes import ImageSize, sides


def untrained(recipe: Recipe, image_size: ImageSize, channels: int) -> VAE:
    """A recipe's model, without memory or arithmetic: on torch's meta device."""
    shape, parts = (image_size, channels, recipe.latent), {"likelihood": recipe.likelihood, "prior": recipe.prior}
    with torch.device("meta"):
        return build_model(recipe.posterior, recipe.network, *shape, seed=recipe.seed, **parts)


@torch.no_grad()
def macs(recipe: Recipe, image_size: ImageSize, channels: int) -> dict[str, float]:
    """Multiply-accumulates per image of an encoding and a decoding (`encoder_macs`, `decoder_macs`): convolutions,
    matrix products and attention."""
    model, found = untrained(recipe, image_size, channels).eval(), {}
    with torch.device("meta"):
        with FlopCounterMode(display=False) as counter:
            heads = model.encode(torch.empty(1, channels, *sides(image_size)))
        found["encoder_macs"] = counter.get_total_flops() / 2
        with FlopCounterMode(display=False) as counter:
            model.decoder(heads.new_empty(1, model.latent))
        found["decoder_macs"] = counter.get_total_flops() / 2
    return found


def arithmetic(recipe: Recipe, image_size: ImageSize, channels: int, device: torch.device) -> str:
    """ "fp32" or "bf16": the precision that the recipe's networks are trained in on this device."""
    wanted = recipe.optimisation.precision
    return resolve_precision(wanted, device, lambda: sum(macs(recipe, image_size, channels).values()))
