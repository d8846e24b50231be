"""Objectives by the short names that a user types, and what rows count with for them."""

import math

import pytest
from torch import nn

from evae.errors import UserError
from evae.metrics.features import Features, frechet_column, kernel_column
from evae.metrics.names import density_side
from evae.metrics.names import features as names
from evae.search.objectives import counted, directions, labels_of, objective_column, resolve_objectives


@pytest.mark.parametrize("name", names)
@pytest.mark.parametrize("kind", ["rec", "gen"])
def test_a_distance_is_the_column_that_the_evaluation_writes(name, kind):
    features = Features(name, 1, "digest", "resize", lambda x: x, nn.Identity())
    assert objective_column(f"{kind}_fd", features.column) == frechet_column(features, kind)
    assert objective_column(f"{kind}_kd", features.column) == kernel_column(features, kind)


@pytest.mark.parametrize("name", names)
def test_a_density_s_are_the_columns_of_the_first(name):
    features = Features(name, 1, "digest", "resize", lambda x: x, nn.Identity())
    given = ["xpd_fd", "xpd_kd", "xpd_sharpness_gap"]
    side = density_side("second_stage")
    assert [column for column, _ in resolve_objectives(given, features.column, "second_stage")] == [
        frechet_column(features, side),
        kernel_column(features, side),
        "xpd_secondstage_sharpness_gap",
    ]


def test_without_a_density_there_is_nothing_of_one_to_search_for():
    with pytest.raises(UserError, match="--densities mixture"):
        resolve_objectives(["gen_fd", "xpd_recall"], "x")


DISTANCES = {f"{kind}_{distance}" for kind in ("rec", "gen", "xpd") for distance in ("fd", "kd")}


@pytest.mark.parametrize("name", sorted(name for name in set(directions()) - DISTANCES if not name.startswith("xpd_")))
def test_other_metrics_are_their_own_column(name):
    assert resolve_objectives([name], "inception") == [(name, directions()[name])]


def test_directions_and_order_are_kept():
    assert resolve_objectives(["rec_sharpness", "gen_sharpness_gap", "distortion_nats", "elbo_nats"], "x") == [
        ("rec_sharpness", "max"),
        ("gen_sharpness_gap", "min"),
        ("distortion_nats", "min"),
        ("elbo_nats", "max"),
    ]


def test_an_accuracy_is_an_objective_for_any_number_of_labels():
    assert resolve_objectives(["knn_accuracy_17", "linear_accuracy_200"], "x") == [
        ("knn_accuracy_17", "max"),
        ("linear_accuracy_200", "max"),
    ]
    assert [labels_of(name) for name in ("knn_accuracy_17", "gen_fd", "rec_psnr_db")] == [17, None, None]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "got none"),
        (["gen_fd", "gen_fd"], "each once"),
        (["gen_fid"], "Did you mean 'gen_fd'"),
        (["rec_sharpnes"], "Did you mean 'rec_sharpness'"),
        (["gen_fd_efficientnet_lite0_b4"], "unknown objective"),
        (["knn_accuracy"], "Did you mean 'knn_accuracy_"),
        (["linear_accuracy_0"], "unknown objective"),
        (["linear_accuracy_007"], "unknown objective"),
        (["psnr_200"], "unknown objective"),
    ],
)
def test_what_cannot_be_searched_for_is_a_user_error(names, text):
    with pytest.raises(UserError, match=text):
        resolve_objectives(names, "x")


@pytest.mark.parametrize("prefix", ["", "val_"])
@pytest.mark.parametrize(
    ("kind", "counts"), [("exact", True), ("estimated", True), (None, True), ("bound", False), ("none", False)]
)
def test_a_rate_counts_only_where_it_is_a_divergence(prefix, kind, counts):
    """To be less than another quantity says nothing; rows that do not say what their rate is are taken as they are."""
    row = {f"{prefix}rate_nats": 3, f"{prefix}rate_is": kind, f"{prefix}distortion_nats": 5.0}
    assert counted(row, f"{prefix}rate_nats") == (3 if counts else pytest.approx(math.nan, nan_ok=True))
    assert counted(row, f"{prefix}distortion_nats") == 5


def test_what_is_not_there_counts_as_no_number():
    assert all(math.isnan(counted(row, "rec_ssim")) for row in ({}, {"rec_ssim": None}, {"rec_ssim": math.nan}))
