"""Likelihood families: what a decoder's outputs say about the pixels, and what a wrong pixel costs."""

from evae.likelihoods.base import Likelihood, likelihood
from evae.likelihoods.bernoulli import Bernoulli
from evae.likelihoods.gaussian import Gaussian
from evae.likelihoods.laplace import Laplace
from evae.likelihoods.logistic import Logistic
from evae.likelihoods.none import NoLikelihood
from evae.likelihoods.scaled import Scaled
from evae.likelihoods.scaled_laplace import ScaledLaplace
from evae.likelihoods.sum_of_squares import SumOfSquares

__all__ = [
    "Bernoulli",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "Logistic",
    "NoLikelihood",
    "Scaled",
    "ScaledLaplace",
    "SumOfSquares",
    "likelihood",
]
