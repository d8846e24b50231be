"""Is it the kernel that makes an EVAE good: does it matter which, beside bandwidth and prior, and is it Epanechnikov's?

    python studies/is_it_the_kernel.py
    python studies/is_it_the_kernel.py --name kernel-fashion --data fashion-mnist --train-images 4000 --test-images 500
    python studies/is_it_the_kernel.py --name kernel-photos --data photos
    python studies/is_it_the_kernel.py --points 170 --confirm 8

Its yardsticks are nine kernels of equal variance at the EVAE paper's setting (Qin & Huang, arXiv 2405.12783v2), a VAE
with five weights of its rate, and an autoencoder; its points are EVAEs whose kernel, bandwidth, prior, its width and
beta were drawn independently of each other. 39 claims are stated before the first training, for reconstructions, for
samples from the prior, and for samples from a mixture fitted to the codes: that the Epanechnikov kernel is better than
each of the others, that kernel, bandwidth and prior width each explain more than a twentieth of what varies, and that
the paper's EVAE is better than the best of the VAEs and than the autoencoder. The report begins with their verdicts,
all of which together are wrong in 5 % of such studies at most.

The defaults take about 3 core-hours for each of the three data sets, an hour and a half on two cores: 345
configurations, of which the yardsticks get 12 fresh seeds, and what else is chosen two, or more where it may be on the
front. It may be stopped and continued; fewer points and seeds decide less, and may be added to.
docs/is-it-the-kernel.md says what so many points and seeds can decide, and what has come out so far.
"""

import sys
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import UseAppendAction

from evae.search.space import Space
from search_spaces.is_it_the_kernel import METRICS, claims, grid
from studies.cli import GridOptions, main


@dataclass(frozen=True, kw_only=True)
class IsItTheKernel(GridOptions):
    """The options of a grid, with a size for a laptop."""

    name: str = "is-it-the-kernel"
    points: int = 330
    """EVAEs of all kinds to train, beside the yardsticks. Their shares are looked at with 20, 40, 80, 160, 320, ... of
    them; a few more make up for those that diverge."""
    size: str = "small"
    latent: int = 32
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 3e-3
    replicates: str = "race"
    """"race": no claim rests on what is chosen beside the yardsticks, which gets as many fresh seeds only where it may
    be on the front; "all": in any case."""
    confirm: int = 12
    """Fresh seeds of the yardsticks, which claims rest on."""
    claim: Annotated[tuple[str, ...], UseAppendAction] = claims()
    """What is stated before the first training, in the place of these; repeatable."""
    objectives: tuple[str, ...] | None = METRICS

    @property
    def space(self) -> Space:
        return grid(self.points)


if __name__ == "__main__":
    main(IsItTheKernel, sys.modules[__name__])
