"""What a study of points asks for where nothing is said, and what it refuses before anything is trained."""

import numpy as np
import pytest

from evae.data import DataRecipe, load
from evae.errors import UserError
from evae.likelihoods import Gaussian
from evae.networks import Dense
from evae.search.feasible import check_truth
from evae.study.asked import Asked
from evae.study.measuring import _check_kind
from evae.study.options import StudyOptions

MOON = load(DataRecipe(source="points:moon", train_images=20, validation_images=20, test_images=20))


def test_the_kind_of_data_decides_what_nothing_is_said_of():
    points, images = StudyOptions(data="points:moon", latent=1), StudyOptions()
    recipe = points.base_recipe()
    assert recipe.network == Dense() and recipe.likelihood == Gaussian.for_points()
    assert points.objectives == ("log_likelihood_nats", "bound_gap_nats")
    assert images.objectives == ("gen_fd", "rec_sharpness_gap")
    assert (images.network, images.likelihood) == ("conv", "bernoulli")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"objectives": ("gen_fd", "rate_nats")},
            "gen_fd is of images, and the data are points: .*log_likelihood_nats",
        ),
        ({"objectives": ("knn_accuracy_200",)}, "accuracies are of images"),
        ({"objectives": ("rec_psnr_db",)}, "is of images"),
        ({"claim": ("EVAE < VAE in gen_fd",)}, "gen_fd is of images"),
        ({"network": "conv"}, "take linear or dense"),
        ({"likelihood": "logistic"}, "take gaussian"),
        ({"downstream": (200,)}, "accuracies are of images"),
        ({"channels": 3}, "channels is of images"),
    ],
)
def test_what_is_of_images_is_refused_for_points(given, said):
    with pytest.raises(UserError, match=said):
        StudyOptions(data="points:moon", **given)


def test_what_is_of_points_is_refused_for_images():
    with pytest.raises(UserError, match="log_likelihood_nats is of points, and the data are images"):
        StudyOptions(objectives=("log_likelihood_nats",))


def test_a_gap_needs_the_model_that_made_the_points(tmp_path):
    np.save(tmp_path / "own.npy", MOON.test[:, :, 0, 0])
    own = load(DataRecipe(source=f"points:{tmp_path / 'own.npy'}", validation_images=3))
    check_truth(["log_likelihood_gap_nats"], MOON)
    check_truth(["log_likelihood_nats"], own)
    with pytest.raises(UserError, match="is not known, which code_correlation needs"):
        check_truth(["code_correlation"], own)


@pytest.mark.parametrize("asked", [{"features": "inception"}, {"densities": ("mixture",)}, {"metrics": ("rec_ssim",)}])
def test_measuring_again_refuses_what_is_of_images(asked):
    with pytest.raises(UserError, match=r"(is|are) of images"):
        _check_kind(Asked(**asked), MOON)
