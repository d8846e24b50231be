"""Posterior families: how an image's code is distributed, and what that costs."""

from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.base import Posterior, Recent, posterior
from evae.posteriors.categorical import Categorical
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.gaussian_exp import GaussianExp
from evae.posteriors.gaussian_relu import GaussianRelu
from evae.posteriors.kernel import KernelKL
from evae.posteriors.laplace import Laplace
from evae.posteriors.mixture import Mixture
from evae.posteriors.poisson import Poisson
from evae.posteriors.rae import RAE

__all__ = [
    "RAE",
    "Autoencoder",
    "Categorical",
    "Evae",
    "Gaussian",
    "GaussianExp",
    "GaussianRelu",
    "KernelKL",
    "Laplace",
    "Mixture",
    "Poisson",
    "Posterior",
    "Recent",
    "posterior",
]
