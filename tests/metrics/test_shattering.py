"""Halves of classes told from codes, against scikit-learn's classifier."""

from itertools import combinations

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from evae.metrics.shattering import MOST, chance, fit, halves, shattering_accuracy


def drawn(n: int, seed: int, classes: int = 4, latent: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes about a place for each class, far less apart than they are wide."""
    places = 1.5 * torch.randn(classes, latent, generator=torch.Generator().manual_seed(9))
    labels = torch.arange(n) % classes
    return places[labels] + torch.randn(n, latent, generator=torch.Generator().manual_seed(seed)), labels


@pytest.mark.parametrize(("classes", "count"), [(2, 1), (3, 3), (4, 3), (10, 126), (12, MOST)])
def test_every_half_is_there_once(classes, count):
    cuts = halves(classes)
    assert cuts.shape == (count, classes) and set(cuts.unique().tolist()) == {-1.0, 1.0}
    sides = {frozenset(row.nonzero()[:, 0].tolist()) for row in cuts > 0}
    mirrored = {frozenset(range(classes)) - side for side in sides}
    assert len(sides) == count and not (sides & mirrored and classes % 2 == 0)
    assert torch.equal(cuts, halves(classes)) and halves(100).shape == (MOST, 100)


def test_the_accuracy_is_that_of_a_classifier_for_each_half():
    """Both mirror images of each, as the paper has them."""
    (known, known_labels), (codes, labels) = drawn(60, 0), drawn(200, 1)
    found = []
    for side in combinations(range(4), 2):
        classifier = LogisticRegression().fit(known, torch.isin(known_labels, torch.tensor(side)))
        found.append(classifier.score(codes, torch.isin(labels, torch.tensor(side))))
    assert 0.6 < sum(found) / 6 < 0.99
    assert shattering_accuracy(codes, labels, known, known_labels) == pytest.approx(sum(found) / 6, abs=0.01)


def test_all_are_at_their_optimum_at_once():
    known, labels = drawn(40, 2)
    sides = halves(4)[:, labels].T
    weights, biases = fit(known.double(), sides)
    for cut in range(3):
        exact = LogisticRegression(tol=1e-8, max_iter=1000).fit(known.double(), sides[:, cut] > 0)
        torch.testing.assert_close(weights[:, cut], torch.from_numpy(exact.coef_[0]), rtol=2e-3, atol=2e-3)
        assert float(biases[cut]) == pytest.approx(float(exact.intercept_[0]), abs=5e-3)


def test_classes_that_nobody_knows_do_not_count():
    known, known_labels = drawn(30, 0, classes=2)
    codes, labels = drawn(20, 1, classes=3)
    first = labels < 2
    expected = shattering_accuracy(codes[first], labels[first], known, known_labels)
    assert shattering_accuracy(codes, labels, known, known_labels) == expected
    assert shattering_accuracy(codes, labels, known, torch.zeros(30).long()) == 1
    assert shattering_accuracy(codes, torch.full((20,), 5), known, known_labels) == 0


def test_chance_is_to_say_the_greater_half():
    assert chance(torch.arange(40) % 4) == 0.5 and chance(torch.zeros(5).long()) == 1
    assert chance(torch.tensor([3, 3, 3, 7])) == 0.75
