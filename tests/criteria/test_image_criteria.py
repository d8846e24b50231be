"""Criteria that compare images: values, one normalisation, and trainings that they drive."""

import math
import re
from dataclasses import replace

import pytest
import torch
from tiny import tiny_images, tiny_recipe

from evae.criteria import L1, L2, MMD, Charbonnier, Criterion, HighFrequency, Seen, Wavelet
from evae.errors import UserError
from evae.likelihoods import Gaussian, NoLikelihood, ScaledLaplace
from evae.models import VAE
from evae.networks import Linear
from evae.posteriors import Gaussian as GaussianPosterior
from evae.ranks import Ranks
from evae.recipe import Recipe
from evae.search.feasible import check_possible
from evae.study.balance import balance
from evae.training import Training

IMAGES = tiny_images()


def term(criterion: Criterion, x: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    codes = torch.zeros(len(x), 2)
    return criterion.term(Seen(x, made, codes, codes, codes, Ranks().share(len(x))))


def pictures(seed: int, side: int = 16) -> torch.Tensor:
    return torch.rand(3, 2, side, side, generator=torch.Generator().manual_seed(seed))


def test_pixel_errors_are_sums_over_an_image_of_pixels_in_minus_1_to_1():
    x, made = pictures(0), pictures(1)
    errors = 2 * (made - x)
    torch.testing.assert_close(term(L1(), x, made), errors.abs().sum() / 3)
    torch.testing.assert_close(term(L2(), x, made), errors.square().sum() / 3)
    smooth = (errors**2 + 0.1**2).sqrt().sum() / 3
    torch.testing.assert_close(term(Charbonnier(eps=0.1), x, made), smooth)


def test_charbonnier_costs_eps_where_there_is_no_error():
    x = pictures(0)
    for criterion in (Charbonnier(), Wavelet()):
        assert float(term(criterion, x, x)) == pytest.approx(1e-3 * x[0].numel())


def test_details_of_a_checkerboard_and_of_no_more_than_a_shift_of_grey():
    """papers.md, 5.7: of a 0/1 checkerboard |HH| = 1 (here halved, on pixels twice as large), LH = HL = 0."""
    checkers = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * torch.ones(1, 1, 8, 8)
    flat = torch.full_like(checkers, 0.5)
    eps = 1e-9
    assert float(term(Wavelet(eps=eps), flat, checkers)) == pytest.approx(64 / 3)
    for criterion in (Wavelet(eps=eps), HighFrequency()):
        assert float(term(criterion, flat, flat + 0.3)) == pytest.approx(0, abs=1e-4)


def test_the_gaussian_of_the_high_frequencies_is_that_of_a_plain_convolution():
    x, made = pictures(0), pictures(1)
    at = torch.arange(-2.0, 3)
    window = torch.exp(-(at[:, None] ** 2 + at**2) / 2)
    window = (window / window.sum()).expand(2, 1, 5, 5)
    errors = (2 * (made - x)).double()
    blurred = torch.nn.functional.conv2d(errors, window.double(), groups=2)
    inner = (errors[..., 2:-2, 2:-2] - blurred).abs()
    found = HighFrequency()._blurred(errors)
    torch.testing.assert_close((errors - found)[..., 2:-2, 2:-2].abs(), inner)


@pytest.mark.parametrize("criterion", [Wavelet(), HighFrequency()], ids=lambda one: one.family)
def test_gradients_reach_every_pixel_of_a_reconstruction_also_under_autocast(criterion):
    x, made = pictures(0), pictures(1).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = term(criterion, x, made)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, term(criterion, x, made))
    value.backward()
    assert (made.grad != 0).float().mean() > 0.99


def shares(side: int, criteria: tuple[Criterion, ...]) -> dict[str, float]:
    """Parts of the loss of one linear model on the same picture at two sizes: errors and codes are the same."""
    _, decoder = Linear().build(side, 1, 2, 2)
    for parameter in decoder.parameters():
        torch.nn.init.zeros_(parameter)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(side * side, 4))
    torch.nn.init.zeros_(encoder[1].weight)
    torch.nn.init.constant_(encoder[1].bias, 0.7)
    vae = VAE(GaussianPosterior(), encoder, decoder, code_shape=(2,), likelihood=Gaussian(scale=1.0), criteria=criteria)
    x = pictures(0, 8)[:, :1].repeat_interleave(side // 8, 2).repeat_interleave(side // 8, 3)
    with torch.no_grad():
        return {name: float(value) for name, value in vae(x, torch.Generator().manual_seed(0)).items()}


def test_a_larger_image_keeps_the_balance_of_errors_and_lowers_the_share_of_the_rate():
    criteria = (L1(), L2(), Charbonnier())
    small, large = shares(8, criteria), shares(32, criteria)
    for name in ("distortion", "l1", "l2", "charbonnier"):
        assert large[name] == pytest.approx(16 * small[name], rel=1e-4)
    assert large["rate"] == pytest.approx(small["rate"]) and small["rate"] > 0


def recipe(*criteria: Criterion, likelihood=None, **optimisation) -> Recipe:
    given = tiny_recipe(**optimisation)
    return replace(given, criteria=criteria, likelihood=likelihood or given.likelihood)


def test_criteria_alone_can_train_reconstructions():
    alone = recipe(L1(weight=2.0), Wavelet(), likelihood=NoLikelihood(), learning_rate=1e-2)
    training = Training(alone, IMAGES)
    rows = [training.train_epoch() | training.validate() for _ in range(3)]
    assert "train_distortion_nats" not in rows[0] and "val_elbo_nats" not in rows[0]
    parts = 2 * rows[0]["train_l1"] + rows[0]["train_wavelet"] + rows[0]["train_rate_nats"]
    assert rows[0]["train_loss_nats"] == pytest.approx(parts, rel=1e-5)
    assert rows[-1]["val_l1"] < rows[0]["val_l1"]


@pytest.mark.parametrize("likelihood", [ScaledLaplace(), Gaussian(scale=0.3, learn_scale=True)])
def test_a_scaled_term_is_divided_by_what_the_likelihood_divides_errors_by(likelihood):
    """The distortion but for its constants is the sum of errors on [-1, 1] over that scale, and so is the term."""
    kind = L1 if isinstance(likelihood, ScaledLaplace) else L2
    training = Training(recipe(kind(weight=0.5, scaled=True), likelihood=likelihood), IMAGES)
    value, weight = training.first_terms()[kind.family]
    distortion = training.first_terms()["distortion"][0]
    numbers, scale = 32 * 32, likelihood.scale
    laplace = isinstance(likelihood, ScaledLaplace)
    constant = math.log(2 * scale) if laplace else math.log(scale * math.sqrt(2 * math.pi))
    assert distortion - numbers * constant == pytest.approx(2 * weight * value, rel=1e-3)
    before = float(training.model.learned_likelihood["log_scale"].detach())
    training.train_epoch()
    assert float(training.model.learned_likelihood["log_scale"].detach()) != before


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: recipe(L1(scaled=True)), "l1 is to be divided .* bernoulli has none: take one of gaussian"),
        (lambda: recipe(MMD(), likelihood=NoLikelihood()), "likelihood none nothing trains reconstructions"),
        (lambda: recipe(L1(weight=0.0), likelihood=NoLikelihood()), "nothing trains reconstructions"),
        (lambda: Charbonnier(eps=0.0), "eps of the criterion charbonnier must be more than 0"),
        (lambda: HighFrequency(window=4), "window of the criterion high_frequency must be an odd number"),
        (lambda: HighFrequency(sigma=0.0), "sigma of the criterion high_frequency must be more than 0"),
        (
            lambda: replace(recipe(Wavelet()), network=Linear()).check_trainable(1, 33),
            "wavelet needs images of even sides, not 33 px",
        ),
        (lambda: HighFrequency(window=65).check(32), "too wide for images of 32 px"),
        (lambda: check_possible(["distortion_nats"], [recipe(L1(), likelihood=NoLikelihood())]), "none likelihood"),
    ],
)
def test_what_cannot_be_is_refused(make, named):
    with pytest.raises(UserError, match=named):
        make()


def test_the_balance_as_training_begins_is_of_weighted_terms_and_adds_up():
    """With a weight of the rate that is far too great, which shows."""
    given = recipe(L1(weight=1e-3), likelihood=ScaledLaplace())
    given = given.with_posterior(GaussianPosterior(beta=1e6))
    said = balance(given, IMAGES)
    found = re.findall(r"(\w+) (?:[\d.,e+-]+ x )?[\d.,e+-]+ \(([\d.e-]+) %\)", said)
    assert [name for name, _ in found] == ["distortion", "rate", "l1"]
    assert sum(float(share) for _, share in found) == pytest.approx(100, abs=0.2)
    assert dict(found)["rate"].startswith("9") and "rate 1,000,000 x " in said
    assert balance(given, IMAGES) == said
