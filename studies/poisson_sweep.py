"""What do codes that count spikes give: which posterior, estimator, temperature, beta and latent size?

    python studies/poisson_sweep.py
    python studies/poisson_sweep.py --name poisson-long --epochs 60 --beta-warm-up-epochs 30 --trials 40 --seeds 3

Trains the models of the Poisson VAE's paper (Vafaii, Galor & Yates, NeurIPS 2024: counts by its sigmoid, and by the
exact expectation that linear networks have; the Gaussian, Laplace, rectified and exponential Gaussian, and categorical
rivals), counts by the cubic indicator and by a Gumbel-softmax, and then what Optuna's search suggests, with linear
networks on digits of 28 px. The goals are the ELBO, and how often the nearest neighbours tell a digit by its code, of
which 200 have labels.

With the defaults, on two cores (busy with other work), 12 configurations took 2.3 minutes. They are far from trained:
expect an ELBO of -47 (exact), -51 (sigmoid, Gumbel-softmax) and -54 (cubic) with 70 to 230 of 512 latents in use and
98 to 99 % of the counts 0; -72 of the Gaussian and -166 of the Laplace, whose idle latents are not yet off. The
paper, trained to the end, has -41.5 (exact), -41.7 (sigmoid), -40.7 (Gaussian) and -42.1 (Laplace). Its training, of
which each configuration would take a core 3 to 11 hours (not run here), is that of `--data mnist --epochs 1200
--batch-size 200 --learning-rate 2e-3 --cosine-restarts 2 --warm-up-epochs 5 --beta-warm-up-epochs 600 --weight-decay
3e-4 --clip-norm 1000`.
"""

import sys
from dataclasses import dataclass

from evae.search.space import Space
from evae.sizes import ImageSize
from evae.study.options import StudyOptions
from search_spaces.poisson import space
from studies.cli import main, side_by_side

SHOWN = ("elbo_nats", "distortion_nats", "rate_nats", "kl_units", "zeros_share", "rec_r2", "knn_accuracy_200")


@dataclass(frozen=True, kw_only=True)
class PoissonSweep(StudyOptions):
    """The options of a study, with a size for a laptop."""

    name: str = "poisson-sweep"
    image_size: ImageSize | None = 28
    network: str = "linear"
    likelihood: str = "sum_of_squares"
    latent: int = 512
    epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 5e-3
    optimiser: str = "adamax"
    schedule: str = "cosine"
    densities: tuple[str, ...] = ()
    trials: int = 12
    confirm: int = 0
    """Fresh seeds, at the end, for what the search has chosen; with 2 the report can say what differs by more than
    noise."""
    objectives: tuple[str, ...] = ("elbo_nats", "knn_accuracy_200")

    @property
    def space(self) -> Space:
        return space(self.base_recipe())


if __name__ == "__main__":
    main(PoissonSweep, sys.modules[__name__], closing=side_by_side(SHOWN))
