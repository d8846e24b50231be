"""Further terms of the loss: contracts, values, and a training."""

from dataclasses import replace

import pytest
import torch
from tiny import tiny_images, tiny_recipe

from evae.criteria import MMD
from evae.criteria import criterion as families
from evae.errors import UserError
from evae.recipe import Recipe
from evae.testing.criteria import CHECKS, seen
from evae.training import Training


@pytest.mark.parametrize("family", families)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(family, check):
    check(families[family]())


def test_the_mmd_is_unbiased_between_sets_of_one_distribution_and_not_between_others():
    random = torch.Generator().manual_seed(0)
    found = []
    for _ in range(400):
        prior, codes = torch.randn(2, 8, 2, generator=random)
        found.append([float(MMD().term(replace(seen(8, 2), codes=codes + by, prior=prior))) for by in (0.0, 1.5)])
    same, apart = torch.tensor(found).T
    assert abs(float(same.mean())) < 4 * float(same.std()) / 20
    assert float(apart.mean()) > 10 * float(apart.std()) / 20


def test_it_is_part_of_the_loss_by_its_weight():
    recipe = replace(tiny_recipe(), criteria=(MMD(weight=7.0),))
    with_it = Training(recipe, tiny_images()).train_epoch()
    assert "train_mmd" not in Training(tiny_recipe(), tiny_images()).train_epoch()
    parts = with_it["train_distortion_nats"] + with_it["train_rate_nats"] + 7 * with_it["train_mmd"]
    assert with_it["train_loss_nats"] == pytest.approx(parts, rel=1e-5)


def test_a_recipe_brings_them_back():
    recipe = Recipe(criteria=(MMD(weight=2.0),))
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert "criteria" not in Recipe().to_dict()


def test_one_given_twice_is_refused():
    with pytest.raises(UserError, match="given twice"):
        Recipe(criteria=(MMD(), MMD(weight=2.0)))


def test_a_list_of_them_must_be_one():
    with pytest.raises(UserError, match=r"recipe\.criteria must be a list"):
        Recipe.from_dict({"criteria": {"family": "mmd"}})
