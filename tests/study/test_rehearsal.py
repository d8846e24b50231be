"""Whether a device can do what a study needs, found by trying; and what a study does about a Mac's GPU."""

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from metal import Metal, on_metal
from rich.console import Console
from tiny import POSTERIORS, adversarial_recipe, tiny_images, tiny_recipe

from evae import training
from evae.cluster.demand import Demand
from evae.data import pixels
from evae.networks.conv import Conv
from evae.posteriors.evae import Evae
from evae.study import rehearsal, session
from evae.study.rehearsal import rehearse

IMAGES = tiny_images()
RECIPES = [*(tiny_recipe(posterior) for posterior in POSTERIORS), adversarial_recipe(start_epoch=3)]


def test_what_can_be_done_here_passes():
    assert rehearse(RECIPES, IMAGES, "cpu") is None


def test_a_device_that_is_not_there_fails_in_words():
    assert "mps" in rehearse(RECIPES, IMAGES, "mps").lower()


def test_an_operation_that_is_missing_is_found_in_whatever_step_it_is(monkeypatch):
    def missing(*arguments: object) -> None:
        raise NotImplementedError("The operator 'aten::sort' is not currently implemented for the MPS device.\nMore.")

    for module, name in ((training, "check_finite"), (rehearsal, "evaluate"), (training.Training, "validate")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, missing)
            assert rehearse(RECIPES[:1], IMAGES, "cpu").endswith("for the MPS device.")


def test_recipes_that_differ_in_numbers_only_are_tried_once(monkeypatch):
    tried = []
    monkeypatch.setattr(rehearsal, "_try", lambda recipe, *rest: tried.append(recipe))
    alike = [tiny_recipe(Evae(beta=beta), seed) for beta in (0.1, 2.0) for seed in (0, 1)]
    others = [tiny_recipe(Evae(kernel="uniform")), tiny_recipe(), replace(tiny_recipe(), network=Conv(width=0.2))]
    rehearse([*alike, *others], IMAGES, "cpu")
    assert len(tried) == 3


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.posterior.family)
def test_nothing_needs_float64_on_the_device(monkeypatch, recipe):
    unit = pixels.unit
    monkeypatch.setattr(training, "on_device", lambda images, device: on_metal(pixels.tensor(images)))
    monkeypatch.setattr(pixels, "unit", lambda images, device: on_metal(unit(images, device)))
    drawn = type(recipe.posterior).sample_prior
    monkeypatch.setattr(type(recipe.posterior), "sample_prior", lambda *given: on_metal(drawn(*given)))
    assert rehearse([recipe], IMAGES, "cpu") is None


def test_the_stand_in_refuses_what_metal_does():
    on_device = on_metal(torch.ones(2))
    assert isinstance(on_device * 2 + torch.ones(2), Metal) and not isinstance(on_device.cpu(), Metal)
    with pytest.raises(TypeError, match="float64"):
        on_device.double()


def asked(**demand: object) -> tuple[Demand, str]:
    """What is asked of the machines, and said, where the options say this."""
    console = Console(file=io.StringIO(), width=500)
    search = SimpleNamespace(space=SimpleNamespace(recipes=lambda base: RECIPES), base=None)
    found = session._demand(SimpleNamespace(demand=lambda: Demand(**demand)), search, IMAGES, console)
    return found, console.file.getvalue()


def test_a_mac_whose_gpu_cannot_do_it_trains_on_its_cpu_and_says_why(monkeypatch):
    monkeypatch.setattr(session, "accelerator", lambda: "mps")  # which this machine lacks
    demand, said = asked()
    assert demand == Demand(gpus=0.0)
    assert said.startswith("trials train on the CPU: Metal cannot do") and "mps" in said.lower()
    monkeypatch.setattr(rehearsal, "rehearse", lambda *given: None)
    assert asked() == (Demand(), "")


@pytest.mark.parametrize("given", [{"gpus": 1.0}, {"gpus": 0.0}, {"address": "auto"}, {"workers": 2}])
def test_what_the_user_has_decided_is_not_tried(monkeypatch, given):
    monkeypatch.setattr(session, "accelerator", lambda: "mps")
    assert asked(**given) == (Demand(**given), "")
