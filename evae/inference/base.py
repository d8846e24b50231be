"""What every kind of inference offers: how codes are found for training data, step by step."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, torch
from evae.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from evae.ranks import Share
    from evae.shapes import Dial, Images


@runtime_checkable
class Rows(Protocol):
    """A split: `rows[index]` are those images as a model is given them, float32 (n, c, h, w) on its device, never
    mirrored."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor, /) -> Images: ...


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step of training has at hand.

    `index` (n,) are the batch's rows of the training split, those of all processes, and `x` the images of this
    process's `share` of them. `noise` is the step's randomness, the same on every process. `bound(x)` are the terms of
    the encoder's bound for such images, with new noise at each call. `descend(loss, parameters)` takes a step of the
    optimiser for these parameters alone, beside the one that the loop takes for all on the `loss` of the terms.
    `progress`, from 0 to below 1, is the share of the training's steps that came before.
    """

    index: Tensor
    x: Images
    share: Share
    noise: torch.Generator
    bound: Callable[[Images], dict[str, Tensor]]
    descend: Callable[[Tensor, Iterable[nn.Parameter]], None]
    progress: Dial


class Course:
    """An inference at work in one training, with the state of its own, if it has one.

    `model` (`evae.models.VAE`) is the one that is trained, `train` and `validation` are the data.
    """

    def __init__(self, inference: Inference, model: nn.Module, train: Rows, validation: Rows):
        self.inference, self.model, self.train, self.validation = inference, model, train, validation

    def start_epoch(self, epoch: int) -> None:
        """Called before the first step of each epoch, counted from 1."""

    def terms(self, step: Step) -> dict[str, Tensor]:
        """The terms of a step; the loop descends on `loss`, which every parameter of the model has a part in."""
        return step.bound(step.x)

    def end_epoch(self) -> dict[str, float]:
        """Called after the last step of each epoch: columns of the epoch's row, beside the means of the terms."""
        return {}

    def measured(self) -> dict[str, float | str]:
        """Columns of the trial's row, of the training as it ended; none where it was not trained in this process."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps between epochs, beside the model and its optimiser."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from such a state, in the place of a first epoch. Raises UserError where it is not one of this
        training."""
        if state:
            raise UserError("not a checkpoint of evae, or a damaged one: the inference has no state")


@dataclass(frozen=True, kw_only=True)
class Inference(ABC):
    """A kind of inference with its hyperparameters; it holds no tensors and no state, which are those of a `Course`.

    After training a model finds codes for new data by its encoder, whichever inference it was trained with: one that
    needs none in training fits it to what it has in its place.
    """

    family: ClassVar[str]
    course: ClassVar[type[Course]] = Course

    def check(self, recipe: Any, processes: int = 1, train_images: int | None = None) -> None:  # noqa: B027
        """Raise UserError where the other parts of the `evae.recipe.Recipe`, so many processes a trial, or so many
        training images do not go with it."""

    def begin(self, model: nn.Module, train: Rows, validation: Rows) -> Course:
        """Its course in a training of this model. What takes long is left to the first epoch."""
        return self.course(self, model, train, validation)


inference: Registry[type[Inference]] = Registry("inference")
"""The kinds by name, and the decorator that adds one."""
