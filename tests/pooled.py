"""Trials as a study leaves them, trained in this process."""

from typing import Any

from evae.cluster.setting import Setting
from evae.cluster.trainable import EpochTrainable
from evae.data.base import ImageSet
from evae.recipe import Recipe
from evae.results.store import Store
from evae.search.job import SEARCH, Job


def job_of(recipe: Recipe, role: str = SEARCH, number: int = 7) -> Job:
    """The first try of a recipe."""
    return Job(recipe.configuration(), number, recipe.seed, 1, {}, recipe.to_dict(), "searched", None, role=role)


def trained(store: Store, images: ImageSet, references: Any, one: Job, study: str) -> dict[str, Any]:
    """The job's row once its actor is through with it; how many steps it took is `steps`."""
    setting = Setting(study=study, store=store, images=images, references=references, cpus=1, gpus=0, keep="weights")

    class Local(EpochTrainable):
        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config, setting)

    made, steps = Local({"job": one}), 1
    while not made.train()["done"]:
        steps += 1
    return store.rows("trials", one.trial)[0] | {"steps": steps}
