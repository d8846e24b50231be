"""Accuracies of codes: against scikit-learn's neighbours, and against what is known of classes that are apart."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from evae.metrics import downstream
from evae.metrics.downstream import knn_accuracy, linear_accuracy


def clouds(n: int, spread: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Codes (n, 4) of three classes that lie at distances of 1 from each other, and their classes."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (n,), generator=random)
    return torch.eye(4)[labels] / 2**0.5 + spread * torch.randn(n, 4, generator=random), labels


@pytest.mark.parametrize("known", [1, 2, 7, 300])
def test_neighbours_are_those_of_scikit_learn(known, monkeypatch):
    """Its classes too where some are equally frequent; however many distances are held at once."""
    monkeypatch.setattr(downstream, "BLOCK", 9000)
    codes, labels = clouds(2500, 0.4)
    seen, their = clouds(known, 0.4, seed=1)
    classifier = KNeighborsClassifier(min(5, known)).fit(seen.double().numpy(), their.numpy())
    expected = classifier.score(codes.double().numpy(), labels.numpy())
    assert knn_accuracy(codes, labels, seen, their) == pytest.approx(expected)


@pytest.mark.parametrize("accuracy", [knn_accuracy, linear_accuracy])
def test_classes_that_are_apart_are_told_and_noise_is_not(accuracy):
    seen = clouds(200, 0.01, seed=1)
    assert accuracy(*clouds(100, 0.01), *seen) == 1
    codes, labels = clouds(3000, 0.01)
    assert accuracy(torch.randn(3000, 4), labels, *seen) == pytest.approx(1 / 3, abs=0.05)
    assert accuracy(codes, (labels + 1) % 3, *seen) == 0


def test_the_linear_accuracy_knows_no_scale_and_no_shift_of_a_latent():
    codes, labels = clouds(500, 0.3)
    seen, their = clouds(200, 0.3, seed=1)
    plain = linear_accuracy(codes, labels, seen, their)
    scale, shift = torch.tensor([1e-3, 1.0, 50.0, 1e3]), torch.tensor([5.0, 0.0, -3.0, 100.0])
    assert linear_accuracy(codes * scale + shift, labels, seen * scale + shift, their) == pytest.approx(
        plain, abs=0.005
    )
    assert 0.8 < plain < 1
    assert knn_accuracy(codes * scale, labels, seen * scale, their) < plain - 0.1


def test_latents_that_are_constant_say_nothing():
    codes, labels = clouds(500, 0.3)
    seen, their = clouds(200, 0.3, seed=1)

    def with_constant(x: Tensor) -> Tensor:
        return torch.cat([x, torch.full((len(x), 2), 0.1)], 1)

    plain = linear_accuracy(codes, labels, seen, their)
    assert linear_accuracy(with_constant(codes), labels, with_constant(seen), their) == pytest.approx(plain)
    collapsed = torch.full((500, 4), 0.1), labels, torch.full((200, 4), 0.1), their
    assert linear_accuracy(*collapsed) == pytest.approx(float((labels == their.mode().values).double().mean()))
    assert 0 <= knn_accuracy(*collapsed) <= 0.5


@pytest.mark.parametrize("accuracy", [knn_accuracy, linear_accuracy])
def test_where_one_class_is_seen_it_is_what_is_guessed(accuracy):
    codes, labels = clouds(100, 0.3)
    expected = float((labels == 2).double().mean())
    assert accuracy(codes, labels, torch.randn(9, 4), torch.full((9,), 2)) == pytest.approx(expected)


def test_a_solver_that_does_not_get_to_its_end_warns_nobody(monkeypatch):
    """Warnings are errors here."""
    monkeypatch.setattr(downstream, "ITERATIONS", 1)
    assert 0 < linear_accuracy(*clouds(100, 0.5), *clouds(50, 0.5, seed=1)) <= 1


def test_codes_and_labels_stay_as_they_were():
    given = [*clouds(60, 0.3), *clouds(30, 0.3, seed=1)]
    copies = [part.clone() for part in given]
    assert knn_accuracy(*given) == knn_accuracy(*given) and linear_accuracy(*given) == linear_accuracy(*given)
    assert all(torch.equal(a, b) for a, b in zip(given, copies, strict=True))
    assert np.isfinite(linear_accuracy(*given))
