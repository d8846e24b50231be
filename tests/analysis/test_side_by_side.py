"""The table that a grid ends with."""

from pathlib import Path

import pytest

from analysis.study.load import StudyData, load
from analysis.views.side_by_side import as_markdown
from evae.results.store import Store


@pytest.fixture
def study(tmp_path: Path) -> StudyData:
    """Two configurations with two seeds, of which one lost a seed, and one that lost both."""
    store = Store(tmp_path)
    store.prepare()
    found = {
        ("a", 0): {"label": "VAE", "gen_fd_some_net": 3.0, "rate_nats": 20.0, "rate_is": "exact"},
        ("a", 1): {"label": "VAE", "gen_fd_some_net": 5.0, "rate_nats": 20.0, "rate_is": "exact"},
        ("b", 0): {"label": None, "gen_fd_some_net": 0.25, "rate_nats": 4.0, "rate_is": "bound"},
        ("b", 1): {"label": None, "state": "diverged", "reason": "loss became nan in epoch 2"},
        ("c", 0): {"label": "far", "state": "diverged", "reason": "the discriminator won"},
        ("c", 1): {"label": "far", "state": "failed", "reason": "no memory"},
    }
    for (configuration, seed), row in found.items():
        key = {"trial": f"{configuration}-s{seed}", "configuration": configuration, "number": ord(configuration) - 97}
        store.write("trials", key["trial"], [{"state": "finished", **key, "seed": seed, **row}])
    return load(tmp_path)


def test_means_spreads_and_losses_are_read_off_the_trials(study):
    head, rule, *rows = as_markdown(study, ("gen_fd", "rate_nats")).splitlines()
    assert head == "| configuration | seeds | gen_fd_some_net | rate_nats |"
    assert rule == "| --- | --- | --- | --- |"
    assert rows == [
        "| VAE | 2 of 2 | 4 (1.4) | 20 (0), exact |",
        "| #1 | 1 of 2 | 0.2500 | 4, bound |",
        "| far | 0 of 2 | diverged: the discriminator won |  |",
    ]


def test_a_metric_that_nothing_has_is_a_dash(study):
    rows = as_markdown(study, ("rec_fd", "rate_nats")).splitlines()
    assert rows[0] == "| configuration | seeds | rec_fd | rate_nats |"
    assert rows[2] == "| VAE | 2 of 2 | - | 20 (0), exact |"


def test_a_densitys_distance_is_found_by_its_short_name(tmp_path):
    store = Store(tmp_path)
    store.prepare()
    row = {"xpd_kde_fd_some_net": 2.0, "xpd_kde_fdx": 1.0, "state": "finished", "seed": 0, "label": "VAE"}
    store.write("trials", "a-s0", [{"trial": "a-s0", "configuration": "a", "number": 0, **row}])
    rows = as_markdown(load(tmp_path), ("xpd_kde_fd",)).splitlines()
    assert rows[0] == "| configuration | seeds | xpd_kde_fd_some_net |" and rows[2] == "| VAE | 1 of 1 | 2 |"
