"""Density families: fitted to the codes of a trained model, and sampled from in the place of its prior."""

from evae.densities.base import Density, Estimate, Fitted, density
from evae.densities.gaussian import GaussianDensity
from evae.densities.mixture import MixtureDensity

__all__ = ["Density", "Estimate", "Fitted", "GaussianDensity", "MixtureDensity", "density"]
