"""The regularised autoencoder: a deterministic one whose codes are kept near 0 and whose decoder is kept smooth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import TYPE_CHECKING, torch
from evae.posteriors.autoencoder import Deterministic
from evae.posteriors.base import posterior

if TYPE_CHECKING:
    import optuna
    from jaxtyping import Float

    from evae.posteriors.base import Recent
    from evae.ranks import Share
    from evae.shapes import Heads


@posterior
@dataclass(frozen=True, kw_only=True)
class RAE(Deterministic):
    """RAE-L2 (Ghosh et al., arXiv 1903.12436, eq. 11 with the Tikhonov regulariser).

    The term `codes_l2`, weighted by `beta`, is half the square of a code's length, and `decoder_l2`, weighted by
    `decoder_decay`, half the sum of squares of the decoder's parameters. The defaults are those of the published
    implementations, for squared errors summed over pixels. Small codes alone cost a decoder nothing, which can scale
    them up again: it is both terms together that keep it smooth. New images are decoded from a density fitted to the
    codes, not from a prior, of which there is none.
    """

    family: ClassVar[str] = "rae"

    beta: float = 1e-4
    decoder_decay: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("decoder_decay", at_least=0.0)

    @classmethod
    def suggest(cls, trial: optuna.trial.BaseTrial) -> RAE:
        return cls(
            beta=trial.suggest_float("beta", 1e-5, 1e1, log=True),
            decoder_decay=trial.suggest_float("decoder_decay", 1e-8, 1e-2, log=True),
        )

    @property
    def weights(self) -> dict[str, float]:
        return {"codes_l2": self.beta}

    def terms(self, heads: Heads, share: Share, recent: Recent | None = None) -> dict[str, Float[torch.Tensor, ""]]:
        return {"codes_l2": 0.5 * heads.square().sum() / len(heads)}
