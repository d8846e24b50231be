"""Kinds of inference: their contract, and what the door to them promises."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from tiny import tiny_images, tiny_recipe

from evae.checkpoints import dump_training, restore_training
from evae.errors import UserError
from evae.inference import Amortised, Course, Inference
from evae.inference import inference as kinds
from evae.recipe import Recipe
from evae.testing.contract import Broken
from evae.testing.inference import CHECKS
from evae.training import Training


@pytest.mark.parametrize("kind", kinds)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(kind, check):
    check(kinds[kind]())


@pytest.mark.parametrize("kind", kinds)
def test_a_recipe_brings_it_back(kind):
    recipe = Recipe()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinds[kind], "check", lambda *_: None)  # with any other part
        recipe = Recipe(inference=kinds[kind]())
        assert Recipe.from_dict(recipe.to_dict()) == recipe
        assert ("inference" in recipe.to_dict()) == (kind != "amortised")


class Alternating(Course):
    """Moves the encoder alone before the loop moves both, and counts."""

    steps = 0

    def terms(self, step):
        before = [p.detach().clone() for p in self.model.decoder.parameters()]
        step.descend(step.bound(step.x)["loss"], self.model.encoder.parameters())
        assert all((a == b).all() for a, b in zip(before, self.model.decoder.parameters(), strict=True))
        self.steps += 1
        return step.bound(step.x)

    def end_epoch(self):
        return {"train_inner_steps": float(self.steps)}


@dataclass(frozen=True, kw_only=True)
class Inner(Inference):
    family: ClassVar[str] = "inner"
    course: ClassVar[type[Course]] = Alternating


def test_a_step_can_move_the_encoder_alone():
    training = Training(replace(tiny_recipe(), inference=Inner()), tiny_images())
    first = [p.detach().clone() for p in training.model.encoder.parameters()]
    assert training.train_epoch()["train_inner_steps"] == 3
    assert not all((a == b).all() for a, b in zip(first, training.model.encoder.parameters(), strict=True))


class Forgetful(Alternating):
    """Its columns depend on what `state` does not keep."""


@dataclass(frozen=True, kw_only=True)
class Careless(Inference):
    family: ClassVar[str] = "careless"
    course: ClassVar[type[Course]] = Forgetful


def test_the_contract_finds_a_state_that_is_not_kept():
    with pytest.raises(Broken, match="state"):
        CHECKS[-1](Careless())


def test_a_checkpoint_with_another_inferences_state_is_refused():
    training = Training(tiny_recipe(), tiny_images())
    training.course.state = lambda: {"codes": training.recent.heads}
    with pytest.raises(UserError, match="inference has no state"):
        restore_training(Training(tiny_recipe(), tiny_images()), dump_training(training))


def test_by_default_the_encoder_learns_with_the_decoder():
    assert Recipe().inference == Amortised()
