"""The effects of several data sets as one: against another way to solve for tau^2, a published example, simulation."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import ttest_1samp

from analysis.study.random_effects import between, holm, together

# Colditz et al., JAMA 271 (1994), 698-702: in 13 trials of the BCG vaccine, those with tuberculosis and without, of the
# vaccinated and of the others. For the logarithm of their relative risk statsmodels' combine_effects with
# method_re="iterated" has the same tau^2, mean and error.
BCG = np.array(
    [
        (4, 119, 11, 128),
        (6, 300, 29, 274),
        (3, 228, 11, 209),
        (62, 13536, 248, 12619),
        (33, 5036, 47, 5761),
        (180, 1361, 372, 1079),
        (8, 2537, 10, 619),
        (505, 87886, 499, 87892),
        (29, 7470, 45, 7232),
        (17, 1699, 65, 1600),
        (186, 50448, 141, 27197),
        (5, 2493, 3, 2338),
        (27, 16886, 29, 17825),
    ],
    float,
)


def test_a_published_example() -> None:
    ill, well, others_ill, others_well = BCG.T
    risk, other = ill / (ill + well), others_ill / (others_ill + others_well)
    variance = 1 / ill - 1 / (ill + well) + 1 / others_ill - 1 / (others_ill + others_well)
    found = together(np.log(risk / other), np.sqrt(variance))
    assert found is not None and found.n == 13
    assert (round(found.tau**2, 4), round(found.mean, 4), round(found.error, 4)) == (0.3181, -0.7150, 0.1809)


def test_tau_is_where_the_squares_are_as_large_as_expected() -> None:
    random = np.random.default_rng(0)
    zeros = 0
    for _ in range(200):
        k = random.integers(2, 9)
        errors = np.exp(random.normal(-1, 1.5, k))
        effects = random.normal(0, random.choice([0.0, 0.3, 3.0]), k) + errors * random.normal(size=k)

        def excess(variance: float, effects: np.ndarray = effects, errors: np.ndarray = errors) -> float:
            centre = np.average(effects, weights=1 / (errors**2 + variance))
            return float(np.sum((effects - centre) ** 2 / (errors**2 + variance))) - len(effects) + 1

        found = between(effects, errors)
        expected = brentq(excess, 0, 1e6, xtol=1e-14, rtol=1e-13) if excess(0) > 0 else 0.0
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-10)
        zeros += found == 0
    assert 20 < zeros < 150, "some of both kinds"


def test_effects_known_without_error_are_a_sample_of_their_own() -> None:
    effects = np.array([0.1, 0.5, 0.2, 0.9])
    found, plain = together(effects, np.full(4, 1e-9)), ttest_1samp(effects, 0)
    assert found is not None
    assert found.tau == pytest.approx(effects.std(ddof=1)) and found.chance == pytest.approx(plain.pvalue)
    interval = plain.confidence_interval()
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((interval.low, interval.high))


def test_two_say_little_and_one_says_nothing() -> None:
    found = together(np.array([1.0, 1.0]), np.array([0.1, 0.1]))
    assert found is not None and found.tau == 0
    assert found.half == pytest.approx(12.706 * 0.1 / np.sqrt(2), rel=1e-4)
    assert np.isnan(found.half_of_another), "two data sets do not tell how data sets differ"
    assert together(np.array([1.0]), np.array([0.1])) is None


@pytest.mark.parametrize(("k", "tau"), [(3, 0.5), (5, 0.5), (4, 0.2), (4, 0.0)])
def test_the_interval_of_the_mean_holds_what_it_should(k: int, tau: float) -> None:
    """Standard errors of 0.1 to 0.3, as of seeds; a true effect of its own on each data set."""
    random, trials = np.random.default_rng(k), 1500
    errors = random.uniform(0.1, 0.3, (trials, k))
    effects = 0.7 + tau * random.normal(size=(trials, k)) + errors * random.normal(size=(trials, k))
    found = [together(*of) for of in zip(effects, errors, strict=True)]
    held = np.mean([abs(one.mean - 0.7) <= one.half for one in found])
    another = 0.7 + tau * random.normal(size=trials)
    seen = np.mean([abs(one.mean - x) <= one.half_of_another for one, x in zip(found, another, strict=True)])
    # More than 95 % where tau^2 is often found to be 0, which it cannot be below; 3.5 standard errors of chance.
    assert held >= 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / trials)
    assert tau < 0.5 or held < 0.985
    assert seen >= 0.87


def test_holm() -> None:
    found = holm(np.array([0.03, np.nan, 0.01, 0.04, 0.9]))
    assert found == pytest.approx([0.09, np.nan, 0.04, 0.09, 0.9], nan_ok=True)
    assert len(holm(np.array([]))) == 0
