"""The space of posteriors: which kernel, bandwidth, prior width and beta.

Conditional: a method has only the parameters that mean something for it (no bandwidth where there is none).
The controls are points of the same space that every study of it trains first, as yardsticks.
"""

from __future__ import annotations

from evae.kernels import KERNELS
from evae.lazy import optuna
from evae.posteriors import posterior as families
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.kernel import KernelKL
from evae.recipe import Recipe
from evae.search.space import Control, Space

PAPER_BANDWIDTH = 100 ** (-2 / 9)
"""b(100) of Qin & Huang, arXiv 2405.12783v2, section 5. Its 100 is the M of their rate (eq. 10), which they set to the
size of their batches. Both numbers say how many kernels the density would be made of that the posterior is the limit
of; none is ever drawn, so a study's batches are no reason to change one of them. M is 100 everywhere here, which is the
default of `Evae`: with another, the control would be trained with a rate of another weight than the paper's."""


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """`base` with the posterior that the trial suggests: one of ours, or of a plug-in that the study has."""
    theirs = families.of_plugins()
    method = trial.suggest_categorical("method", ["evae", "kernel", "gaussian", "autoencoder", *theirs])
    if method == "autoencoder":
        return base.with_posterior(Autoencoder())
    if method in theirs:
        return base.with_posterior(families[method].suggest(trial))
    beta = trial.suggest_float("beta", 1e-2, 1e1, log=True)
    if method == "gaussian":
        return base.with_posterior(Gaussian(beta=beta))
    kernel = trial.suggest_categorical("kernel", list(KERNELS))
    if method == "kernel":
        return base.with_posterior(KernelKL(kernel=kernel, beta=beta))
    posterior = Evae(
        kernel=kernel,
        bandwidth=trial.suggest_float("bandwidth", 0.05, 2.0, log=True),
        prior=trial.suggest_categorical("prior", ["uniform", "gaussian"]),
        prior_width=trial.suggest_float("prior_width", 1e-2, 1e1, log=True),
        beta=beta,
    )
    return base.with_posterior(posterior)


PAPER = {
    "method": "evae",
    "kernel": "epanechnikov",
    "bandwidth": PAPER_BANDWIDTH,
    "prior": "uniform",
    "prior_width": 0.1,
    "beta": 1.0,
}

CONTROLS = (
    Control("EVAE, paper (B = 0.1)", PAPER, origin="paper"),
    Control("VAE", {"method": "gaussian", "beta": 1.0}),
    Control("autoencoder", {"method": "autoencoder"}),
    Control("beta-VAE (beta = 0.1)", {"method": "gaussian", "beta": 0.1}),
)

SPACE = Space(suggest, CONTROLS)
