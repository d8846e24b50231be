"""What the doctor is asked."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import UseAppendAction

from evae.data.base import DataRecipe
from evae.metrics.names import DEFAULT_FEATURES
from evae.plugins import load
from evae.recipe import Evaluation


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Where to look. Raises UserError for names that are not known."""

    address: str | None = None
    """A running Ray cluster ("auto", "HOST:6379"); default: this machine alone."""
    store: str = "results"
    """Where studies will put their results: a folder or URI that every node can write to."""
    features: str = DEFAULT_FEATURES
    """Network of the Fréchet distance, whose weights every node must have."""
    data: str = "mnist-5k"
    """Data source, which the machine on which the study is started must have; downloaded if it can be."""
    data_root: str | None = None
    """Folder that holds the data (default: ./data)."""
    plugin: Annotated[tuple[str, ...], UseAppendAction] = ()
    """A plug-in that studies will have: a module must be the same on every node. Repeatable."""

    def __post_init__(self) -> None:
        load(self.plugin)  # what they register is known below
        DataRecipe(source=self.data), Evaluation(features=self.features)  # raise for names that are not known
