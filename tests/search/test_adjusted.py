"""A parameter's share beside all others: sharper, and no more often wrong."""

import numpy as np

from evae.search.adjusted import Adjusted
from evae.search.shares import configurations_needed, share, share_sequence


def drawn(random: np.random.Generator, n: int, effect: float) -> tuple[list[str], np.ndarray, list[list]]:
    """Nine values whose means differ by `effect`, beside a number that decides most, one with an interaction, and two
    values of a third."""
    kinds, first, second, third = random.integers(0, 9, n), *random.uniform(-1, 1, (2, n)), random.integers(0, 2, n)
    metric = (
        effect * (kinds - 4) / 2.6 + first + 1.6 * second + 0.5 * first * second * third + 0.3 * random.normal(size=n)
    )
    return list(map(str, kinds)), metric, [list(first), list(second), list(map(str, third))]


def test_limits_hold_and_are_several_times_as_narrow_where_others_decide():
    random, wrong, widths = np.random.default_rng(0), [], []
    for effect in (0.0, 0.3, 1.0):
        truth = np.mean([share(*drawn(random, 20_000, effect)[:2]) for _ in range(3)])
        for _ in range(100):
            values, metric, others = drawn(random, 160, effect)
            low, high, last = share_sequence(values, metric, 0.05, others)
            wrong.append(not low <= truth <= high)
            assert last == 160
            without = share_sequence(values, metric, 0.05)
            widths.append((high - low, without[1] - without[0]))
    assert np.mean(wrong) <= 0.05
    beside, alone = np.mean(widths[:100], axis=0)
    assert beside < 0.03 and alone > 0.1


def test_a_kernel_that_does_nothing_is_told_from_a_twentieth_by_160_points_although_39_claims_share_the_error():
    values, metric, others = drawn(np.random.default_rng(1), 160, 0.0)
    assert share_sequence(values, metric, 0.05 / 39, others)[1] < 0.05 < share_sequence(values, metric, 0.05 / 39)[1]
    noise = Adjusted(values, metric, others).noise
    assert noise < 0.1
    assert configurations_needed(9, 0.0, 0.05, 0.05 / 39, noise) <= 160 < configurations_needed(9, 0.0, 0.05, 0.05 / 39)


def test_what_has_too_few_configurations_or_values_is_not_known_beside_others():
    values, metric, others = drawn(np.random.default_rng(2), 20, 1.0)
    assert not Adjusted(values, metric, others).is_known
    assert share(values, metric, others) == share(values, metric)
    assert not Adjusted(["a"] * 60, np.arange(60.0), [list(range(60))]).is_known
    # One that says what another says has nothing of its own.
    values, metric, _ = drawn(np.random.default_rng(3), 80, 1.0)
    assert not Adjusted(values, metric, [values]).is_known


def test_a_parameter_that_decides_all_has_the_whole():
    kinds = list(np.random.default_rng(4).integers(0, 4, 160))
    low, high, _ = share_sequence(list(map(str, kinds)), np.array(kinds, float), 0.05, [list(np.arange(160.0))])
    assert low > 0.6 and high == 1
