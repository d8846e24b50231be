"""Our numbers beside those of the Poisson VAE's paper."""

import json
from pathlib import Path

import pytest

from analysis.study.load import load
from analysis.views.poisson_paper import PAPER, as_markdown, comparison
from evae.results.store import Store


def store(folder: Path) -> Store:
    """Two seeds of the Poisson VAE, of which one diverged, and two of the Gaussian one."""
    store = Store(folder)
    store.prepare()
    rows = {
        ("Poisson", 0): {"elbo_nats": -44.0, "distortion_nats": 35.0, "rate_nats": 9.0, "kl_units": 256},
        ("Poisson", 1): {"state": "diverged", "reason": "loss became nan in epoch 2"},
        ("Gaussian", 0): {"elbo_nats": -41.0, "distortion_of_mean_nats": 24.5},
        ("Gaussian", 1): {"elbo_nats": -43.0, "distortion_of_mean_nats": 25.5},
    }
    for (model, seed), row in rows.items():
        known = {"trial": f"{model}-s{seed}", "configuration": model, "number": list(PAPER).index(model), "seed": seed}
        known |= {"label": model, "param_model": model, "recipe": json.dumps({"latent": 512}), "state": "finished"}
        known |= {"epochs": 30, "wall_s": 90.0}
        store.write("trials", known["trial"], [known | row])
    return store


def test_the_negative_elbo_is_that_of_the_finished_seeds_beside_the_papers(tmp_path: Path) -> None:
    poisson, gaussian = comparison(load(store(tmp_path).location))
    assert (poisson.model, poisson.seeds, poisson.nelbo, poisson.active) == ("Poisson", 1, 44.0, 0.5)
    assert (gaussian.nelbo, gaussian.of_mean, gaussian.active, gaussian.rate) == (42.0, 25.0, None, None)
    assert gaussian.nelbo_sd == pytest.approx(2**0.5)
    assert poisson.paper_nelbo == pytest.approx(41.72) and poisson.paper_active == 0.537


def test_the_table_says_how_far_training_went_and_what_it_cost(tmp_path: Path) -> None:
    text = as_markdown(load(store(tmp_path).location))
    assert "| Poisson | 1 | 44.00 | 35.00 + 9.00 | – | 0.500 | 41.72 | 33.21 + 8.51 | 24.36 | 0.537 |" in text
    assert "Trained for 30 of the paper's 1,200 epochs, 4 min 30 s for all" in text


def test_a_study_of_something_else_has_no_lines(tmp_path: Path) -> None:
    empty = Store(tmp_path)
    empty.prepare()
    empty.write("trials", "a-s0", [{"trial": "a-s0", "configuration": "a", "number": 0, "seed": 0, "state": "running"}])
    assert comparison(load(empty.location)) == []
    assert "No training is finished" in as_markdown(load(empty.location))


@pytest.mark.parametrize(
    ("model", "nelbo"),
    [("Poisson", 41.7), ("Gaussian", 40.7), ("Laplace", 42.1), ("categorical", 39.7)],
)
def test_the_papers_parts_add_up_to_its_table(model: str, nelbo: float) -> None:
    assert sum(PAPER[model][:2]) == pytest.approx(nelbo, abs=0.051)
