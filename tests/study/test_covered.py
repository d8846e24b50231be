"""What a finished trial lacks of what a study measures."""

from dataclasses import replace

import pytest
from tiny import tiny_recipe

from evae.densities import KernelDensity
from evae.recipe import Evaluation
from evae.study.covered import Wanted, looked_at
from studies.kernel_sweep import KernelSweep

RECIPE = tiny_recipe()
HAD = RECIPE.evaluation
WANTED = Wanted(("val_rec_psnr_db",), {})


def lacks(evaluation: Evaluation, **row) -> str | None:
    return WANTED.lacks({"recipe": RECIPE.to_dict(), "val_rec_psnr_db": 9.0, **row}, evaluation)


@pytest.mark.parametrize(
    ("changed", "lacking"),
    [
        ({}, None),
        ({"densities": ()}, None),
        ({"densities": (*HAD.densities, KernelDensity())}, "densities"),
        ({"downstream": (5,)}, "downstream"),
        ({"iw_samples": 3}, "iw_samples"),
        ({"cost": True}, "cost"),
        ({"features": "inception"}, "features"),
        ({"seed": 1}, "seed"),
        ({"reconstruct_from": "sample"}, "reconstruct_from"),
    ],
    ids=str,
)
def test_what_a_trial_lacks_is_named(changed, lacking):
    assert lacks(replace(HAD, **changed)) == lacking


def test_what_was_not_measured_on_the_validation_split_is_lacking_and_what_is_nowhere_cannot_be():
    assert lacks(HAD, val_rec_psnr_db=None, rec_psnr_db=9.0) == "val_rec_psnr_db"
    assert lacks(HAD, val_rec_psnr_db=None) is None


def test_constraints_and_what_is_to_be_explained_are_looked_at_like_objectives():
    """Some metrics are measured on the validation split only for that."""
    options = KernelSweep(
        objectives=("rec_psnr_db",),
        constraint=("rec_efficientnet_features <= 9", "rec_psnr_db >= 10"),
        claim=("kernel explains > 0.1 of xpd_fd", "EVAE, paper < VAE in rec_fd"),
    )
    found = looked_at(options)
    assert found == ("rec_psnr_db", "rec_efficientnet_features", "xpd_mixture_fd_efficientnet_lite0_b10")
