"""Constraints on what a recipe itself says: kept to before anything is trained."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

from evae.errors import UserError
from evae.recipe import Recipe
from evae.search.constraints import Constraint
from evae.search.space import Space
from evae.sizes import ImageSize


class Exact:
    """What recipes for images of this shape say of the exact ones among `constraints`, before anything is trained."""

    def __init__(self, constraints: Iterable[Constraint], image_size: ImageSize, channels: int):
        self.constraints = [each for each in constraints if each.exact]
        self._names = [each.metric for each in self.constraints]
        self._shape = image_size, channels
        self._known: dict[Hashable, Mapping[str, float]] = {}

    def violations(self, recipe: Recipe) -> list[float]:
        """By how much a recipe does not keep to each of them."""
        return [each.violation(self._values(recipe)[each.metric]) for each in self.constraints]

    def keeps(self, recipe: Recipe) -> bool:
        """Whether a recipe keeps to all of them."""
        return all(by <= 0 for by in self.violations(recipe))

    def restrict(self, space: Space, recipes: Sequence[Recipe]) -> tuple[Space, list[str]]:
        """The space without the controls that do not keep to the constraints, and what is to be said of these;
        `recipes` are some of the space's, those of its controls first.

        Raises UserError where none of the recipes keeps to all: a sampler would look for what is not there.
        """
        if not self.constraints:
            return space, []
        said = " and ".join(each.text for each in self.constraints)
        if not any(map(self.keeps, recipes)):
            raise UserError(
                f"no configuration can keep to {said}: of {len(recipes)} of this space, its controls among them, "
                f"{' and '.join(self._range(name, recipes) for name in self._names)}. Loosen --constraint, or give "
                "smaller networks, such as --size tiny."
            )
        kept = [self.keeps(recipe) for recipe in recipes[: len(space.controls)]]
        lost = [control.label for control, fine in zip(space.controls, kept, strict=True) if not fine]
        notes = [f"{label} is left out: it cannot keep to {said}" for label in lost]
        return replace(space, controls=tuple(c for c in space.controls if c.label not in lost)), notes

    def _range(self, name: str, recipes: Sequence[Recipe]) -> str:
        values = [self._values(recipe)[name] for recipe in recipes]
        return f"{name} is from {min(values):,.0f} to {max(values):,.0f}"

    def _values(self, recipe: Recipe) -> Mapping[str, float]:
        key: Hashable = recipe.network, recipe.latent, recipe.posterior.heads
        if "parameters" in self._names:  # of all that is learned
            key = *key, recipe.posterior, recipe.likelihood, recipe.prior
        if key not in self._known:
            from evae.cost import exact  # imports torch

            self._known[key] = exact(recipe, *self._shape, self._names)
        return self._known[key]
