"""Code that computes does not change without somebody saying whether its numbers do."""

import pytest
from numbers_of import RECORD, differing, digest, digests, recorded

from evae.numerics import NUMERICS

REMEDY = (
    "Code that computes has changed: {}. Say whether its numbers have: python tests/numbers_of.py --numbers same, or "
    "raise NUMERICS in evae/numerics.py and say --numbers changed."
)


def test_what_has_changed_has_been_looked_at():
    assert not (changed := differing()), REMEDY.format(", ".join(changed))
    assert recorded()["numerics"] == NUMERICS, f"record it: {RECORD}"


def test_it_is_the_code_that_trains_and_measures():
    known = digests()
    assert {"training.py", "posteriors/evae.py", "networks/conv.py", "metrics/frechet.py"} <= known.keys()
    assert not any(name.startswith(("cluster/", "study/", "results/")) for name in known)


CODE = 'def f(x):\n    """Old words."""\n    return x + 1  # one\n'


@pytest.mark.parametrize(
    "same",
    [CODE.replace("Old", "New"), CODE.replace("# one", ""), CODE.replace('    """Old words."""\n', ""), "\n" + CODE],
)
def test_words_are_no_numbers(same):
    assert digest(same) == digest(CODE)


@pytest.mark.parametrize("other", [CODE.replace("1", "2"), CODE.replace("+", "-"), CODE.replace("f(x)", "f(x, y=0)")])
def test_what_computes_is(other):
    assert digest(other) != digest(CODE)
