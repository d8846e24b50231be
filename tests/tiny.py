"""A tiny image set and recipe for tests that train: a model of some hundred weights, an epoch of milliseconds."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from torch import nn

from evae.adversarial import Adversarial
from evae.data.base import DataRecipe, ImageSet, content_digest
from evae.data.labels import UNLABELLED, Labels
from evae.likelihoods import Laplace
from evae.networks.base import Network
from evae.networks.code_maps import FromCode
from evae.networks.conv import Conv
from evae.networks.patchgan import PatchGan
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.base import Posterior
from evae.posteriors.categorical import Categorical
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.gaussian_exp import GaussianExp
from evae.posteriors.gaussian_relu import GaussianRelu
from evae.posteriors.kernel import KernelKL
from evae.posteriors.laplace import Laplace as LaplacePosterior
from evae.posteriors.mixture import Mixture
from evae.posteriors.poisson import Poisson
from evae.posteriors.rae import RAE
from evae.recipe import Evaluation, Optimisation, Recipe

POSTERIORS: tuple[Posterior, ...] = (
    Autoencoder(),
    Gaussian(beta=0.5),
    Evae(kernel="triweight", bandwidth=0.7, prior="gaussian", prior_width=2.0, sample_size=10, beta=0.2),
    KernelKL(kernel="uniform", prior="uniform", beta=3.0),
    Mixture(reading="moments", unbiased=True, mixture_size=14),
    RAE(beta=0.5, decoder_decay=0.3),
    Poisson(beta=0.5, log_rate=0.0),
    LaplacePosterior(beta=0.5),
    GaussianRelu(beta=0.5),
    GaussianExp(beta=0.5),
    Categorical(beta=0.5),
)


@dataclass(frozen=True, kw_only=True)
class Strided(Network):
    """A convolution each way, for images of any even size, whose code maps have half their sides."""

    family: ClassVar[str] = "strided"
    of_any_size: ClassVar[bool] = True

    normalised: bool = False

    def code_shape(self, image_size: int, latent: int) -> tuple[int, ...]:
        return latent, image_size // 2, image_size // 2

    def build(self, image_size: int, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        inward: list[nn.Module] = [nn.Conv2d(channels, heads * latent, 2, stride=2)]
        outward: list[nn.Module] = [FromCode(self.code_shape(image_size, latent))]
        if self.normalised:
            inward.append(nn.BatchNorm2d(heads * latent))
            outward.append(nn.BatchNorm2d(latent))
        outward.append(nn.ConvTranspose2d(latent, channels, 2, stride=2))
        return nn.Sequential(*inward, nn.Flatten()), nn.Sequential(*outward)


def tiny_images(train: int = 24, validation: int = 12, test: int = 16, channels: int = 1) -> ImageSet:
    """Blurred random blobs of 32 px, read-only as everywhere."""
    rng = np.random.default_rng(7)
    splits = []
    for count in (train, validation, test):
        coarse = rng.integers(0, 256, (count, channels, 8, 8), dtype=np.uint8)
        split = np.ascontiguousarray(coarse.repeat(4, axis=2).repeat(4, axis=3))
        split.flags.writeable = False
        splits.append(split)
    return ImageSet(*splits, "tiny", content_digest(splits), "resize", ())


def labelled(images: ImageSet, classes: int = 3) -> ImageSet:
    """The images with labels of no meaning; every fourth has none."""
    splits = []
    for split in (images.train, images.validation, images.test):
        labels = np.random.default_rng(len(split)).integers(0, classes, len(split))
        labels[::4] = UNLABELLED
        splits.append(labels)
    return replace(images, labels=Labels(*splits, tuple("abcdefgh"[:classes]), content_digest(splits)))


def tiny_recipe(posterior: Posterior | None = None, seed: int = 0, **optimisation: Any) -> Recipe:
    """3 latents, batches of 10 (so the last of 24 images is partial), fp32 unless told otherwise."""
    given: dict[str, Any] = {"batch_size": 10, "epochs": 3, "learning_rate": 1e-3, "precision": "fp32"}
    return Recipe(
        data=DataRecipe(validation_images=12),
        posterior=Gaussian() if posterior is None else posterior,
        network=Conv(width=0.1),
        latent=3,
        optimisation=Optimisation(**(given | optimisation)),
        evaluation=Evaluation(features="efficientnet-lite0-b2"),
        seed=seed,
    )


def adversarial_recipe(posterior: Posterior | None = None, seed: int = 0, **adversarial: Any) -> Recipe:
    """MoG-VAE in small: a mixture, Laplace likelihood, and a discriminator of some hundred weights."""
    return replace(
        tiny_recipe(posterior or Mixture(), seed, beta1=0.5),
        likelihood=Laplace(),
        adversarial=Adversarial(discriminator=PatchGan(width=0.04), **adversarial),
    )


def flipping(recipe: Recipe) -> Recipe:
    """The recipe with images mirrored at random."""
    return replace(recipe, data=replace(recipe.data, horizontal_flip=True))
