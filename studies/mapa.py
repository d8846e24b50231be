"""Does a decoder learn more when its codes are fixed before training than when an encoder learns with it?

    python studies/mapa.py
    python studies/mapa.py --data points:circle --seeds 5
    python studies/mapa.py --name mapa-search --trials 60 --sampler nsga2

MAPA-inspired inference has, before any network exists, weights that the training points' distances alone give, and a
code for each point by its order along the data; the decoder then learns by a weighted regression. It is our reading of
Yacoby, Pan & Doshi-Velez (arXiv 2403.08941), of which only the abstract was at hand: none of its numbers can be
compared. Trained beside it: a VAE, IWAE (Burda et al., arXiv 1509.00519), a VAE whose encoder catches up before each
step (He et al., arXiv 1901.05534), a mean-shifted kernel density (the same weights with a free table for a decoder),
and expectation maximisation from there on, the upper control. The study ends with a table: `log_likelihood_gap_nats` is
what a model lacks to the one that made the points, `scale_ratio` its noise over the true one's, `index_gap_nats` what
the weights' bound lacks to the exact likelihood of the empirical model.

With the defaults (9 configurations, 3 seeds each, 2 min 45 s on two cores) expect, on the open arc, that MAPA-inspired
inference lacks 0.013 to the true model, IWAE with 50 samples and EM 0.017, the inner loop 0.018, the kernel density
0.034 and the VAE 0.040, with 60,000 passes of the decoder against 3 million of that IWAE and 1.7 million of the inner
loop. On the circle codes must go by angle (by the first coordinate alone it lacks 1.2). On the figure-8, which crosses
itself, it lacks 0.11 (VAE 0.27) and finds 1.4 times the noise that there is: neighbours in space are no neighbours on
the curve there, and the kernel density (0.08), which needs no order, and EM (0.06) lack less. All of it, and what
shorter training gives, is in benchmarks/results/mapa.md. A trial takes a core 2 to 45 seconds, so that this is also
where a search strategy is tried fast: `--trials 60` goes on to search methods, learning rates, widths and orders.
"""

import sys
from dataclasses import dataclass

from evae.errors import UserError
from evae.search.space import Space
from evae.study.options import StudyOptions
from search_spaces.mapa import space
from studies.cli import main, side_by_side

SHOWN = (
    "log_likelihood_nats",
    "log_likelihood_gap_nats",
    "scale_ratio",
    "code_correlation",
    "bound_gap_nats",
    "index_gap_nats",
    "index_perplexity",
    "index_width",
    "decoder_passes",
    "train_s",
)


@dataclass(frozen=True, kw_only=True)
class MapaStudy(StudyOptions):
    """The options of a study, with a size for a laptop."""

    name: str = "mapa"
    data: str = "points:arc"
    latent: int = 1
    epochs: int = 100
    batch_size: int = 60
    learning_rate: float = 5e-3
    schedule: str = "cosine"
    densities: tuple[str, ...] = ()
    objectives: tuple[str, ...] | None = ("log_likelihood_nats",)
    """Not how near the ELBO comes to it, which poor models may do best."""
    trials: int = 9
    seeds: int = 3
    confirm: int = 0
    """Fresh seeds, at the end, for what the search has chosen; of the controls alone, more --seeds serve all alike."""

    def __post_init__(self) -> None:
        if self.kind != "points":
            raise UserError(
                f"this study is about points, and {self.data} is images: give --data points:arc, circle, ... or "
                "points:FILE. To train a model of images by these weights, take --inference mapa with "
                "--likelihood gaussian and a study of the gaussian posterior, or a recipe of yours."
            )
        super().__post_init__()
        if self.latent != 1:
            raise UserError(
                f"this study compares orders of codes, which have one latent, not {self.latent}: leave --latent at 1"
            )

    @property
    def space(self) -> Space:
        return space(self.base_recipe())


if __name__ == "__main__":
    main(MapaStudy, sys.modules[__name__], closing=side_by_side(SHOWN))
