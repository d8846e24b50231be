"""Is it the kernel: yardsticks that differ in one thing, points that differ in all, and claims that can be read."""

from dataclasses import fields

import numpy as np
import pytest
from conformance import Conformance

from evae.kernels import KERNELS
from evae.posteriors import Evae
from evae.recipe import Optimisation, Recipe
from evae.search.claims import Explained, parse
from evae.search.deciding import known
from search_spaces.is_it_the_kernel import METRICS, RANGES, claims, grid


class TestKernelQuestion(Conformance):
    BASE = Recipe(latent=5, optimisation=Optimisation(batch_size=30))

    @pytest.fixture
    def space(self):
        return grid(60)

    def test_the_yardsticks_of_kernels_differ_in_nothing_else_and_have_one_variance(self, space):
        found = [self.control(space, f"EVAE, {kernel}").posterior for kernel in KERNELS]
        for field in fields(Evae):
            assert len({getattr(each, field.name) for each in found}) == (len(KERNELS) if field.name == "kernel" else 1)
        assert [each.shape.variance for each in found] == pytest.approx([0.2] * len(KERNELS))

    def test_more_points_are_the_same_points_and_more(self):
        assert grid(60).controls[: len(grid(7).controls)] == grid(7).controls

    def test_what_points_vary_is_independent_of_each_other(self):
        points = [control.params for control in grid(2_000).controls if control.origin == "grid"]
        numbers = np.array([[np.log(point[name]) for name in RANGES] for point in points])
        numbers = np.column_stack([numbers, [list(KERNELS).index(point["kernel"]) for point in points]])
        numbers = np.column_stack([numbers, [point["prior"] == "uniform" for point in points]])
        # Five standard errors: of ten pairs one is that far off by chance in a study of a hundred thousand.
        assert np.abs(np.corrcoef(numbers.T) - np.eye(5)).max() < 5 / np.sqrt(len(points))
        for name, (low, high) in RANGES.items():
            median = np.median([point[name] for point in points])
            assert low * high == pytest.approx(median**2, rel=0.5)

    def test_the_claims_can_be_read_and_ask_each_question_of_each_metric(self, space):
        about = known(space, self.BASE, space.recipes(self.BASE), len(space.controls), ("b10", "mixture"))
        found = parse(claims(), about)
        assert len(found) == 39
        explained = [(c.parameter, c.metric.split("_")[0]) for c in found if isinstance(c, Explained)]
        sides = {m.split("_")[0] for m in METRICS}
        assert sorted(explained) == sorted((p, s) for p in ("kernel", "bandwidth", "prior_width") for s in sides)
        compared = [(c.right, c.metric.split("_")[0]) for c in found if not isinstance(c, Explained)]
        rivals = [f"EVAE, {k}" for k in KERNELS if k != "epanechnikov"] + ["best method gaussian", "autoencoder"]
        assert sorted(compared) == sorted((r, s) for r in rivals for s in sides)
