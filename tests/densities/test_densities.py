"""Densities on codes: contracts of all families, scaling and range, and what cannot be fitted."""

import math
from dataclasses import dataclass, replace

import optuna
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture
from tiny import tiny_images, tiny_recipe

from evae.checkpoints import dump_model, load_model
from evae.densities import (
    Density,
    Flow,
    FlowMatching,
    GaussianDensity,
    KernelDensity,
    MixtureDensity,
    SecondStage,
    TrainingCodes,
)
from evae.densities import density as families
from evae.errors import NotFitted, UserError
from evae.evaluation.codes import training_codes
from evae.recipe import Evaluation, Recipe
from evae.testing.densities import CHECKS, codes, generator
from evae.training import Training

DENSITIES: tuple[Density, ...] = (
    GaussianDensity(),
    MixtureDensity(components=3),
    KernelDensity(),
    Flow(transforms=2, bins=4, width=16, steps=60),
    SecondStage(width=32, steps=150),
    FlowMatching(width=8, steps=80, solver_steps=6),
    TrainingCodes(),
)
"""One of each family, small."""
LINE = torch.linspace(-12, 12, 8_001, dtype=torch.float64)[:, None]


def test_every_family_is_tried_here():
    assert {density.family for density in DENSITIES} == set(families)


@pytest.mark.parametrize("density", DENSITIES, ids=lambda d: d.family)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(density, check):
    check(density)


@pytest.mark.parametrize("density", [d for d in DENSITIES if d.density_is != "none"], ids=lambda d: d.family)
def test_a_density_integrates_to_one_over_codes_as_they_are(density):
    """In the codes' own units, a latent of half the scale about -3: the Jacobian of the scaling included. An importance
    weighted bound is the logarithm of an estimate without bias."""
    given = codes()[:, :1] / 2 - 3
    found = density.fit(given, generator()).log_density(LINE).exp()
    near = 2e-3 if density.density_is == "exact" else 0.02
    assert float(torch.trapezoid(found, LINE[:, 0])) == pytest.approx(1, abs=near)


@pytest.mark.parametrize("density", DENSITIES, ids=lambda d: d.family)
def test_other_units_give_the_same_samples_and_shift_the_density(density):
    given, scale = codes()[:, :2], torch.tensor([8.0, 0.25])
    one, other = (density.fit(codes_, generator()) for codes_ in (given, given * scale))
    drawn = [fitted.sample(20, generator()) for fitted in (one, other)]
    torch.testing.assert_close(drawn[0] * scale, drawn[1])
    shift = one.log_density(given) - other.log_density(given * scale)
    if density.density_is != "none":
        torch.testing.assert_close(shift, torch.full_like(shift, float(scale.log().sum())))


def test_the_gaussian_has_the_codes_mean_and_covariance():
    given = torch.randn(500, 4, generator=generator()) @ torch.randn(4, 4, generator=generator(1)) + 2
    found = GaussianDensity().fit(given, generator())
    numbers = given.double().numpy()
    oracle = multivariate_normal(numbers.mean(0), torch.cov(given.double().T, correction=0).numpy())
    torch.testing.assert_close(found.log_density(given), torch.from_numpy(oracle.logpdf(numbers)), rtol=1e-4, atol=1e-4)
    drawn = found.estimate.sample(40_000, generator())
    inner = found.scaling.standardise(given)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(inner.T, correction=0), rtol=0, atol=0.04)
    torch.testing.assert_close(drawn.mean(0), torch.zeros(4, dtype=torch.float64), rtol=0, atol=0.03)


def test_the_mixture_is_scikit_learns():
    given = codes()[:, :2]
    found = MixtureDensity(components=4).fit(given, generator(5))
    inner = found.scaling.standardise(given)
    seed = int(torch.randint(2**31 - 1, (), generator=generator(5)))
    oracle = GaussianMixture(4, max_iter=2000, random_state=seed).fit(inner.numpy())
    torch.testing.assert_close(found.estimate.log_density(inner), torch.from_numpy(oracle.score_samples(inner.numpy())))
    drawn = found.estimate.sample(40_000, generator())
    inside = torch.from_numpy(oracle.predict(drawn.numpy()))
    shares = torch.bincount(inside, minlength=4) / 40_000
    expected = torch.bincount(torch.from_numpy(oracle.predict(oracle.sample(40_000)[0])), minlength=4) / 40_000
    torch.testing.assert_close(shares, expected, rtol=0, atol=0.02)


def test_latents_that_depend_on_each_other_can_be_fitted():
    given = codes()[:, :1].repeat(1, 3)
    for density in (GaussianDensity(), MixtureDensity(components=2)):
        drawn = density.fit(given, generator()).sample(50, generator())
        torch.testing.assert_close(drawn[:, 0], drawn[:, 2], rtol=0, atol=0.02)


def test_a_latent_that_is_constant_but_for_rounding_keeps_its_value():
    given = torch.randn(50, 2, generator=generator())
    given[:, 1] = 1000 + torch.rand(50, generator=generator()) * 1e-4
    drawn = GaussianDensity().fit(given, generator()).sample(20, generator())
    assert drawn[:, 1].unique().numel() == 1 and given[:, 1].min() <= drawn[0, 1] <= given[:, 1].max()
    small = given * torch.tensor([1e-9, 1.0])
    assert GaussianDensity().fit(small, generator()).sample(20, generator())[:, 0].std() > 0


def test_samples_outside_the_range_are_drawn_anew_and_not_heaped_at_its_ends():
    given = torch.rand(300, 1, generator=generator())
    drawn = GaussianDensity().fit(given, generator()).sample(500, generator())
    assert given.min() < drawn.min() and drawn.max() < given.max()


@dataclass(frozen=True, kw_only=True)
class Broken(GaussianDensity):
    def estimate(self, codes, generator):
        return replace(super().estimate(codes, generator), means=torch.full((1, codes.shape[1]), torch.nan))


def test_samples_that_are_not_numbers_are_refused():
    with pytest.raises(NotFitted, match="are not numbers"):
        Broken().fit(codes(), generator()).sample(3, generator())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.zeros(1, 2), "2 codes or more, and there is 1"),
        (torch.zeros(0, 2), "2 codes or more, and there is 0"),
        (torch.full((9, 2), 3.0), "all codes are the same"),
        (torch.tensor([[0.0], [torch.nan], [1.0]]), "not finite"),
        (torch.tensor([[0.0], [torch.inf], [1.0]]), "not finite"),
    ],
    ids=["one", "none", "collapsed", "nan", "infinite"],
)
@pytest.mark.parametrize("density", DENSITIES, ids=lambda d: d.family)
def test_codes_that_nothing_can_be_fitted_to_are_refused(density, given, said):
    with pytest.raises(NotFitted, match=said):
        density.fit(given, generator())


def test_a_mixture_says_why_it_cannot_be_fitted():
    with pytest.raises(NotFitted, match="10 components are more than the 9 codes: give at most as many"):
        MixtureDensity().fit(codes()[:9], generator())
    with pytest.raises(NotFitted, match="not converged after 1 iterations: give more"):
        MixtureDensity(components=5, iterations=1, tolerance=0.0).fit(codes(), generator())


@pytest.mark.parametrize(
    ("family", "given"),
    [
        ("mixture", {"components": 0}),
        ("mixture", {"iterations": 0}),
        ("mixture", {"tolerance": -1.0}),
        ("kde", {"bandwidth": 0.0}),
        ("flow", {"transforms": 0}),
        ("flow", {"steps": 0}),
        ("second_stage", {"width": 0}),
        ("second_stage", {"learning_rate": math.nan}),
    ],
)
def test_fields_outside_their_range_are_refused(family, given):
    with pytest.raises(UserError, match=f"{next(iter(given))} of the {family} density must be"):
        families[family](**given)
    with pytest.raises(UserError, match="unknown bandwidth rule 'scot'"):
        KernelDensity(rule="scot")
    with pytest.raises(UserError, match="unknown kernel"):
        KernelDensity(kernel="epan")


@pytest.mark.parametrize("family", families)
def test_a_search_suggests_it(family):
    space = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = space.ask()
    assert type(families[family].suggest(trial)) is families[family]
    assert all(name.startswith(family) for name in trial.params)


def test_a_recipe_brings_them_back():
    recipe = Recipe(evaluation=Evaluation(densities=DENSITIES))
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert "densities" not in Recipe().to_dict()["evaluation"]
    with pytest.raises(UserError, match="given twice"):
        Evaluation(densities=(GaussianDensity(), GaussianDensity()))


@pytest.fixture(scope="module")
def trained() -> Training:
    recipe = tiny_recipe()
    training = Training(replace(recipe, evaluation=replace(recipe.evaluation, densities=DENSITIES)), tiny_images())
    training.train_epoch()
    return training


def test_codes_are_sampled_of_the_first_training_images_with_noise_of_the_evaluation(trained):
    found = training_codes(trained)
    assert found.shape == (24, 3) and found.dtype == torch.float32
    assert torch.equal(found, training_codes(trained))
    assert training_codes(trained, 5).shape == (5, 3)
    with torch.no_grad():
        x = torch.from_numpy(trained.images.train.copy()).float() / 255
        heads = trained.model.eval().encode(x)
    posterior = trained.recipe.posterior
    away = (found - posterior.mean(heads)) / posterior.std(heads)
    assert 0.7 < float(away.std()) < 1.3 and away.abs().min() > 0


def test_they_are_kept_with_the_weights(trained, tmp_path):
    given = training_codes(trained)
    model = trained.model.eval()
    model.densities = {d.family: d.fit(given, generator()) for d in DENSITIES if d.family != "gaussian"}
    path = tmp_path / "model.safetensors"
    path.write_bytes(dump_model(model, trained.recipe, 32, 1))
    loaded = load_model(str(path))
    assert loaded.densities.keys() == model.densities.keys()
    for family in loaded.densities:
        with torch.no_grad():
            drawn = [m.sample(4, generator(), density=family) for m in (model, loaded)]
        assert torch.equal(*drawn) and drawn[0].shape == (4, 1, 32, 32)
    with pytest.raises(UserError, match=r"unknown density of this model 'mixtrue'\. Did you mean 'mixture'"):
        loaded.sample(1, generator(), density="mixtrue")
    model.densities = {}
    path.write_bytes(dump_model(model, trained.recipe, 32, 1))
    with pytest.raises(UserError, match="no fitted densities"):
        load_model(str(path)).sample(1, generator(), density="mixture")


@pytest.mark.parametrize("density", DENSITIES, ids=lambda d: d.family)
def test_a_damaged_state_is_a_user_error(density):
    state = density.fit(codes()[:, :2], generator()).state()
    for name, value in state.items():
        for damaged in ({k: v for k, v in state.items() if k != name}, state | {name: value.flatten().repeat(2)}):
            with pytest.raises(UserError, match="damaged"):
                density.restore(damaged)
