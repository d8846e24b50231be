"""The space of posteriors: conditional, in range, complete, and with the yardsticks that it promises."""

import optuna
import pytest
import torch
from conformance import Conformance

from evae.kernels import KERNELS
from evae.posteriors import posterior as families
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Optimisation, Recipe
from search_spaces.kernels import CONTROLS, PAPER_BANDWIDTH, SPACE, suggest

BASE = Recipe(latent=7, optimisation=Optimisation(batch_size=64))
PARAMETERS = {
    "autoencoder": set(),
    "gaussian": {"beta"},
    "kernel": {"beta", "kernel"},
    "evae": {"beta", "kernel", "bandwidth", "prior", "prior_width"},
}
"""What means something for each method."""


@pytest.fixture(scope="module")
def drawn() -> list[tuple[optuna.trial.Trial, Recipe]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [(trial, suggest(trial, BASE)) for trial in (study.ask() for _ in range(400))]


def control(label: str) -> Recipe:
    params = next(c.params for c in CONTROLS if c.label == label)
    return suggest(optuna.trial.FixedTrial(dict(params)), BASE)


def test_every_family_and_every_kernel_is_drawn(drawn):
    # Mixtures, regularised autoencoders, counts and their rivals are in spaces of their own.
    elsewhere = {"mixture", "rae", "poisson", "laplace", "gaussian_relu", "gaussian_exp", "categorical"}
    assert {recipe.posterior.family for _, recipe in drawn} == set(families) - elsewhere == set(PARAMETERS)
    for family in ("evae", "kernel"):
        assert {r.posterior.kernel for _, r in drawn if r.posterior.family == family} == set(KERNELS)


def test_a_method_has_only_the_parameters_that_mean_something_for_it(drawn):
    for trial, recipe in drawn:
        assert set(trial.params) == {"method"} | PARAMETERS[recipe.posterior.family]


def test_every_parameter_reaches_the_recipe(drawn):
    for trial, recipe in drawn:
        assert trial.params["method"] == recipe.posterior.family
        for name in set(trial.params) - {"method"}:
            assert getattr(recipe.posterior, name) == trial.params[name]


def test_nothing_but_the_posterior_is_varied(drawn):
    for _, recipe in drawn:
        plain = recipe.to_dict()
        assert {k: v for k, v in plain.items() if k != "posterior"} == {
            k: v for k, v in BASE.to_dict().items() if k != "posterior"
        }


def test_a_suggestion_survives_json_and_gives_the_same_recipe_again(drawn):
    for trial, recipe in drawn[:50]:
        assert Recipe.from_dict(recipe.to_dict()) == recipe
        assert suggest(optuna.trial.FixedTrial(trial.params), BASE) == recipe


def test_the_yardsticks_are_what_their_labels_say():
    assert control("autoencoder").posterior == Autoencoder()
    assert control("VAE").posterior == Gaussian(beta=1.0)
    assert control("beta-VAE (beta = 0.1)").posterior == Gaussian(beta=0.1)
    posterior = control("EVAE, paper (B = 0.1)").posterior
    assert isinstance(posterior, Evae)
    assert (posterior.kernel, posterior.prior) == ("epanechnikov", "uniform")
    assert (posterior.prior_width, posterior.beta) == (0.1, 1.0)
    assert posterior.bandwidth == PAPER_BANDWIDTH == pytest.approx(0.35938, abs=1e-5)
    # Eq. 10 with the 100 that b is taken of, in studies of any batch size: 3 B / (5 M) for each 1 / r.
    r = torch.full((1, 1), 2.0)
    heads = torch.cat([torch.zeros(1, 1), torch.log(torch.expm1(r))], 1)
    assert float(posterior.rate(heads)) == pytest.approx(3 * 0.1 / (5 * 100 * 2), rel=1e-3)
    assert posterior.bandwidth == pytest.approx(posterior.sample_size ** (-2 / 9))
    assert [c.label for c in CONTROLS if c.origin == "paper"] == ["EVAE, paper (B = 0.1)"]


class TestConformance(Conformance):
    BASE = BASE

    @pytest.fixture
    def space(self):
        return SPACE


def test_the_description_names_every_parameter_with_its_range():
    told = SPACE.describe(BASE)
    assert set(told) == {"method"}.union(*PARAMETERS.values())
    assert set(told["kernel"]["choices"]) == set(KERNELS)
    assert told["bandwidth"]["low"] == 0.05 and told["bandwidth"]["high"] == 2.0 and told["bandwidth"]["log"]
    assert told == SPACE.describe(BASE)


def test_every_model_has_the_warm_up_of_its_rate_but_the_one_that_has_none():
    base = Recipe(optimisation=Optimisation(beta_warm_up_epochs=2.0))
    for recipe in SPACE.recipes(base):
        assert recipe.optimisation.beta_warm_up_epochs == (0 if recipe.posterior == Autoencoder() else 2)
