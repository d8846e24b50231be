"""The arms of LiteVAE's ablations (Sadat et al., NeurIPS 2024, arXiv 2405.14477): one change to its B each.

A grid, not a search: every point is a control. Pairs of arms share their seeds, so that what a seed does to both falls
out of their difference. What the paper publishes of each pair stands in `ABLATIONS`; the weights of its losses it does
not publish, and those here are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from evae.adversarial import Adversarial
from evae.criteria import criterion
from evae.errors import UserError, unknown
from evae.lazy import optuna
from evae.likelihoods import likelihood
from evae.networks.discriminator import Discriminator
from evae.networks.lite_vae import LiteVae
from evae.networks.map_network import MapNetwork
from evae.networks.patchgan import PatchGan
from evae.networks.sd_vae import SdVae
from evae.networks.unet_discriminator import UNetDiscriminator
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.search.space import Control, Space, check_undecided

KL, WAVELET, HIGH_FREQUENCY = 1e-6, 1.0, 0.5
"""Weights where absolute errors have 1, all summed over an image: kl-f8's for the rate, ours for the others."""
WIDER = 2
"""By how much encoders and discriminators may be wider than the decoder, each as a share of the papers' width: the
decoder takes most of the time."""
AS_SMALL = 0.445
"""The width of an SD-VAE encoder with as many parameters as LiteVAE's B, of that one's."""


@dataclass(frozen=True)
class Ablation:
    """`arm` against `other`, and what the paper has of the difference arm - other by metric, in its units: PSNR in dB,
    and the FID of reconstructions, of which ours is another distance, so that the sign alone can be compared."""

    arm: str
    other: str
    published: Mapping[str, float]
    where: str


FULL, PLAIN, GAUSS = "LiteVAE-B", "l1 alone", "l1 and Gaussian loss"
ABLATIONS: dict[str, Ablation] = {
    "Gaussian loss": Ablation(GAUSS, PLAIN, {"rec_psnr_db": 0.31, "rec_fd": 0.0}, "table 9"),
    "wavelet loss": Ablation(FULL, GAUSS, {"rec_psnr_db": 0.09, "rec_fd": -0.03}, "table 9"),
    "shared extractor": Ablation("shared extractor", FULL, {"rec_psnr_db": -0.05, "rec_fd": 0.03}, "table 19"),
    "without the finest level": Ablation("no finest level", FULL, {"rec_psnr_db": 0.02, "rec_fd": 0.33}, "table 21"),
    "1x1 convolutions": Ablation("1x1 convolutions", FULL, {"rec_psnr_db": -0.41, "rec_fd": 1.17}, "table 17"),
    "SMC against GroupNorm": Ablation("SMC decoder", FULL, {"rec_psnr_db": 0.08, "rec_fd": -0.04}, "table 4"),
    "against an equally small VAE": Ablation(
        FULL, "equally small VAE", {"rec_psnr_db": 0.39, "rec_fd": -0.87}, "table 2b"
    ),
    "half the size first": Ablation("half the size first", FULL, {"rec_psnr_db": 0.12, "rec_fd": -0.02}, "table 5"),
    "U-Net against PatchGAN": Ablation("U-Net", "PatchGAN", {"rec_psnr_db": -0.37, "rec_fd": -0.60}, "table 10"),
    "constant against adaptive": Ablation("U-Net", "adaptive", {"rec_psnr_db": 0.09, "rec_fd": 0.0}, "table 8"),
}


def beside(width: float) -> float:
    """The width of an encoder or a discriminator beside a decoder of that width, which may be narrower than the
    paper's."""
    return max(width, min(1.0, WIDER * width))


def maps_of(base: Recipe) -> MapNetwork:
    """The networks of a study's base. Raises UserError where their codes are no maps."""
    if not isinstance(base.network, MapNetwork):
        raise UserError(
            f"this space is of networks whose codes are maps, and {base.network.family} has none: take the networks "
            "lite_vae or sd_vae."
        )
    return base.network


def paper(base: Recipe) -> Recipe:
    """`base` with LiteVAE's B, as wide as its networks, and the losses that are not adversarial; its criteria stay."""
    check_undecided(base)
    mine = maps_of(base)
    network = LiteVae(size="B", width=mine.width, decoder_width=mine.decoder_width, downsampling=mine.downsampling)
    criteria = {each.family: each for each in base.criteria} | {
        "l1": criterion["l1"](),
        "high_frequency": criterion["high_frequency"](weight=HIGH_FREQUENCY),
        "wavelet": criterion["wavelet"](weight=WAVELET),
    }
    parts = {"posterior": Gaussian(beta=KL), "likelihood": likelihood["none"](), "criteria": tuple(criteria.values())}
    return replace(base, network=network, optimisation=replace(base.optimisation, beta1=0.5), **parts)


def without(recipe: Recipe, *families: str) -> Recipe:
    """The recipe without these criteria."""
    return replace(recipe, criteria=tuple(each for each in recipe.criteria if each.family not in families))


def small_vae(recipe: Recipe) -> Recipe:
    """With an SD-VAE encoder that has about as many parameters as LiteVAE's B has."""
    lite = recipe.network
    given = {"width": AS_SMALL * lite.width, "decoder_width": lite.decoder_width, "downsampling": lite.downsampling}
    return replace(recipe, network=SdVae(**given))


def judge(kind: str, width: float) -> Discriminator:
    """A discriminator ("U-Net" or "PatchGAN") beside a decoder of that width."""
    if kind == "U-Net":
        return UNetDiscriminator(channels=max(1, round(32 * beside(width))))
    return PatchGan(width=beside(width))


def judged(kind: str, weighting: str = "per_number", weight: float = 0.1) -> Callable[[Recipe], Recipe]:
    """With a discriminator from the second half of the training on."""

    def arm(recipe: Recipe) -> Recipe:
        given = {"weight": weight, "weighting": weighting, "start_epoch": 1 + recipe.optimisation.epochs // 2}
        network = judge(kind, recipe.network.decoder_width)
        return replace(recipe, adversarial=Adversarial(discriminator=network, loss="hinge", **given))

    return arm


def half_first(recipe: Recipe) -> Recipe:
    """With two thirds of the epochs at half the size, as the paper has it."""
    epochs = recipe.optimisation.epochs
    half = min(epochs - 1, round(2 * epochs / 3))
    return replace(recipe, optimisation=replace(recipe.optimisation, half_size_epochs=half))


def of_network(**changes: object) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, network=replace(recipe.network, **changes))


ARMS: dict[str, Callable[[Recipe], Recipe]] = {
    FULL: lambda recipe: recipe,
    PLAIN: lambda recipe: without(recipe, "high_frequency", "wavelet"),
    GAUSS: lambda recipe: without(recipe, "wavelet"),
    "shared extractor": of_network(shared=True),
    "no finest level": of_network(finest=False),
    "1x1 convolutions": of_network(one_by_one=True),
    "SMC decoder": of_network(decoder_normalisation="smc"),
    "equally small VAE": small_vae,
    "half the size first": half_first,
    "U-Net": judged("U-Net"),
    "PatchGAN": judged("PatchGAN"),
    "adaptive": judged("U-Net", "adaptive", 0.5),
}


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """One of the arms."""
    return ARMS[trial.suggest_categorical("arm", list(ARMS))](paper(base))


def grid(ablations: Sequence[str] = tuple(ABLATIONS)) -> Space:
    """The arms of these ablations. Raises UserError for one that is none of ABLATIONS."""
    for name in ablations:
        if name not in ABLATIONS:
            raise unknown("ablation", name, ABLATIONS)
    arms = dict.fromkeys(arm for name in ablations for arm in (ABLATIONS[name].other, ABLATIONS[name].arm))
    ordered = sorted(arms, key=list(ARMS).index)
    return Space(suggest, tuple(Control(arm, {"arm": arm}, origin="grid") for arm in ordered), is_grid=True)
