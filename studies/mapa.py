"""Does a decoder learn more when its codes are fixed before training than when an encoder learns with it?

    python studies/mapa.py
    python studies/mapa.py --data points:circle --seeds 5
    python studies/mapa.py --name mapa-search --trials 60 --sampler nsga2

MAPA-inspired: our reading of Yacoby, Pan & Doshi-Velez (arXiv 2403.08941), of which only the abstract was at hand.
"""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evae.errors import UserError
from evae.search.space import Space
from evae.study.options import StudyOptions
from search_spaces.mapa import space
from studies.cli import main

if TYPE_CHECKING:
    from evae.results.store import Store

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
    trials: int = 9
    seeds: int = 3
    confirm: int = 0
    """Fresh seeds, at the end, for what the search has chosen; of the controls alone, more --seeds serve all alike."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind != "points":
            raise UserError(
                f"this study is about points, and {self.data} is images: give --data points:arc, circle, ... or "
                "points:FILE. To train a model of images by these weights, take --inference mapa with "
                "--likelihood gaussian and a study of the gaussian posterior, or a recipe of yours."
            )

    @property
    def space(self) -> Space:
        return space(self.base_recipe())


def table(store: "Store") -> str:
    """What is shown at the end."""
    from analysis.study.load import load
    from analysis.views.side_by_side import as_markdown

    return as_markdown(load(store), SHOWN)


if __name__ == "__main__":
    main(MapaStudy, sys.modules[__name__], closing=table)
