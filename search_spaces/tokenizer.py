"""The space of image tokenizers: which VAE should a diffusion model stand on?

Encoders, code maps and the weights of the loss. All terms are summed over an image (`evae.criteria.images`), beside
absolute errors with weight 1; the decoder is the Stable Diffusion VAE's, as wide as the study's. Conditional: an
adversarial weight only where there is a discriminator, which joins in the training's second half. The controls are the
Stable Diffusion VAE, LiteVAE's B with the paper's ratio of encoders (6.75 to 34.16 million parameters), and a plain VAE
that is as small as it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evae.adversarial import Adversarial
from evae.criteria import criterion
from evae.lazy import optuna
from evae.likelihoods import likelihood
from evae.networks.base import Network
from evae.networks.lite_vae import LiteVae
from evae.networks.map_network import LEVELS
from evae.networks.sd_vae import SdVae
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.search.space import Control, Space, check_undecided
from evae.sizes import ImageSize, sides
from search_spaces.litevae_paper import AS_SMALL, beside, judge, maps_of

ENCODERS = ("LiteVAE-S", "LiteVAE-B", "SD-VAE", "small VAE")
WEIGHTS = {"perceptual": (0.03, 3.0), "wavelet": (0.03, 3.0), "high_frequency": (0.03, 3.0)}
USUAL = {"kl": 1e-6, "perceptual": 1.0, "wavelet": 1.0, "high_frequency": 0.5, "discriminator": "none"}
"""The controls' weights: kl-f8's for the rate and the perceptual distance, ours for what LiteVAE does not publish."""


def encoder(name: str, width: float, downsampling: int) -> Network:
    """The networks with that encoder, and a decoder of `width`."""
    given = {"decoder_width": width, "downsampling": downsampling}
    if name.startswith("LiteVAE"):
        return LiteVae(size=name[-1], width=beside(width), **given)
    return SdVae(width=beside(width) * (AS_SMALL if name == "small VAE" else 1.0), **given)


def space(base: Recipe, image_size: ImageSize) -> Space:
    """Around a study's `base`, whose networks have code maps, for images of that size (px). The controls have its
    latents, and downsample by 8 or as nearly so as the images allow. Raises UserError for other networks, and
    for a discriminator of its own."""
    check_undecided(base)
    decoder_width = maps_of(base).decoder_width
    # Where there is none, the networks say which sides they take.
    fitting = [each for each in LEVELS if all(s % each == 0 and s // each >= 2 for s in sides(image_size))]
    downsamplings = fitting or list(LEVELS)

    def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
        network = encoder(
            trial.suggest_categorical("encoder", list(ENCODERS)),
            decoder_width,
            trial.suggest_categorical("downsampling", downsamplings),
        )
        criteria = [criterion["l1"]()]
        for name, (low, high) in WEIGHTS.items():
            criteria.append(criterion[name](weight=trial.suggest_float(name, low, high, log=True)))
        recipe = replace(
            base,
            network=network,
            latent=trial.suggest_int("latent", min(2, base.latent), max(16, base.latent), log=True),
            posterior=Gaussian(beta=trial.suggest_float("kl", 1e-7, 1.0, log=True)),
            likelihood=likelihood["none"](),
            criteria=tuple(criteria),
        )
        return _judged(trial, recipe)

    return Space(suggest, _controls(base, downsamplings))


def _judged(trial: optuna.trial.BaseTrial, recipe: Recipe) -> Recipe:
    """The recipe with a discriminator, or without."""
    if (kind := trial.suggest_categorical("discriminator", ["none", "U-Net", "PatchGAN"])) == "none":
        return recipe
    return replace(
        recipe,
        adversarial=Adversarial(
            discriminator=judge(kind, recipe.network.decoder_width),
            weight=trial.suggest_float("adversarial", 0.01, 1.0, log=True),
            weighting="per_number",
            loss="hinge",
            start_epoch=1 + recipe.optimisation.epochs // 2,
        ),
    )


def _controls(base: Recipe, downsamplings: list[int]) -> tuple[Control, ...]:
    usual: dict[str, Any] = USUAL | {"latent": base.latent}
    usual["downsampling"] = min(downsamplings, key=lambda each: abs(each - 8))
    named = {"SD-VAE": "SD-VAE", "LiteVAE-B": "LiteVAE-B", "equally small VAE": "small VAE"}
    return tuple(Control(label, usual | {"encoder": name}, origin="control") for label, name in named.items())
