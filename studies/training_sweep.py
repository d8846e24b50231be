"""How should a VAE be trained: which optimiser, schedule, clipping, average of the weights and warm-up of beta?

    python studies/training_sweep.py

Trains a VAE with Adam and a constant learning rate and with one change to that each, as papers make them, and then
what a search over all of them together suggests; for a high ELBO, and samples near to real images. With the defaults,
on two cores, 12 configurations with 3 seeds each take about 4 minutes. In a training of so few steps expect clipping to
gain 9 nats of ELBO, five standard deviations between seeds; AdamW, Adamax and a warm-up of beta not to differ from the
plain training by more than seeds do; and what takes from the last steps to lose: a cosine 15 nats, mean weights 6. What
helps a long training is another study: give it more --epochs.
"""

import sys
from dataclasses import dataclass

from evae.search.space import Space
from evae.study.options import StudyOptions
from search_spaces.training import space
from studies.cli import main


@dataclass(frozen=True, kw_only=True)
class TrainingSweep(StudyOptions):
    """The options of a study, with a size for a laptop."""

    name: str = "training-sweep"
    size: str = "tiny"
    latent: int = 32
    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 3e-3
    objectives: tuple[str, ...] = ("elbo_nats", "gen_fd")
    trials: int = 12
    seeds: int = 3
    confirm: int = 0
    """Fresh seeds, at the end, for what the search has chosen; with 2 the study takes half as long again."""

    @property
    def space(self) -> Space:
        return space(self.base_recipe())


if __name__ == "__main__":
    main(TrainingSweep, sys.modules[__name__])
