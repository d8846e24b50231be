"""Density families: fitted to the codes of a trained model, and sampled from in the place of its prior."""

from evae.densities.base import Density, Estimate, Fitted, density
from evae.densities.codes import TrainingCodes
from evae.densities.flow import Flow
from evae.densities.flow_matching import FlowMatching
from evae.densities.gaussian import GaussianDensity
from evae.densities.kernel import KernelDensity
from evae.densities.mixture import MixtureDensity
from evae.densities.second_stage import SecondStage

__all__ = [
    "Density",
    "Estimate",
    "Fitted",
    "Flow",
    "FlowMatching",
    "GaussianDensity",
    "KernelDensity",
    "MixtureDensity",
    "SecondStage",
    "TrainingCodes",
    "density",
]
