"""How many lanes have room: the rule, and that it is measured."""

from dataclasses import replace

import pytest
import ray
import torch
from tiny import adversarial_recipe, tiny_images, tiny_recipe

from evae.cluster.demand import Demand
from evae.cluster.machine import Slots
from evae.networks.patchgan import PatchGan
from evae.study import room
from evae.study.room import Room, find_room, images_per_s, worth

IMAGES = tiny_images()


@pytest.mark.parametrize(
    ("most", "rates", "lanes", "gain"),
    [
        (16, {1: 100, 2: 190, 4: 350, 8: 600, 16: 900}, 16, 9.0),
        (16, {1: 100, 2: 190, 4: 200}, 2, 1.9),
        (16, {1: 100, 2: 105}, 1, 1.0),
        (7, {1: 100, 2: 190, 4: 350}, 4, 3.5),
        (16, {1: 100, 2: 190, 4: 0}, 2, 1.9),  # four find no memory
        (1, {1: 100}, 1, 1.0),
        (4, {1: 0, 2: 0}, 1, 1.0),  # not even one
    ],
)
def test_lanes_are_doubled_as_long_as_it_is_worth_it(most, rates, lanes, gain):
    assert worth(most, rates.__getitem__) == Room(lanes, gain)


def test_lanes_that_are_asked_for_are_taken_and_timed(monkeypatch):
    monkeypatch.setattr(room, "images_per_s", lambda recipe, images, device, lanes, threads: 100 * lanes**0.5)
    found = find_room([tiny_recipe()], IMAGES, "cpu", 4)
    assert (found.lanes, found.gain) == (4, 2.0)
    assert found.note == "4 lanes a process, which together train 2.0 times as fast as one"


@pytest.mark.parametrize(("gib", "lanes", "by_itself"), [(10.0, 9, 9), (7.0, 6, 6), (0.5, 1, 1)])
def test_no_more_lanes_than_memory(monkeypatch, gib, lanes, by_itself):
    """A GPU on which a trial takes 1 GiB, and other programs all but so much."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (gib * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 2**30 - IMAGES.nbytes)
    monkeypatch.setattr(room, "measure", lambda *given: None)
    monkeypatch.setattr(room, "images_per_s", lambda recipe, images, device, lanes, threads: lanes)
    found = find_room([tiny_recipe()], IMAGES, "cuda", 12)
    assert found.lanes == lanes
    assert found.note == f"{lanes} of the 12 lanes have room in the {gib:.1f} GiB of memory that are free"
    assert find_room([tiny_recipe()], IMAGES, "cuda", "auto").lanes == by_itself


def test_beside_lanes_that_train_there_are_some_that_are_measured(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (80 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 2**30)
    monkeypatch.setattr(room, "measure", lambda *given: None)
    monkeypatch.setattr(room, "images_per_s", lambda recipe, images, device, lanes, threads: min(lanes, 4))
    assert find_room([tiny_recipe()], IMAGES, "cuda", "auto") == Room(
        8, 4.0, "8 lanes a process, 4 of which train 4.0 times as fast as one"
    )


def test_lanes_are_timed_together(monkeypatch):
    monkeypatch.setattr(room, "TIMED_S", 0.05)
    assert images_per_s(tiny_recipe(), IMAGES, torch.device("cpu"), 2) > 0
    assert images_per_s(tiny_recipe(learning_rate=1e30), IMAGES, torch.device("cpu"), 2) == 0


def test_networks_that_share_random_numbers_share_no_process(monkeypatch):
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2}}])
    recipe = adversarial_recipe()
    dropping = replace(recipe.adversarial, discriminator=PatchGan(width=0.04, dropout=0.1))
    given = Demand(lanes=3), Slots(1, 1, 0, lanes=3)
    found = room.room(*given, [tiny_recipe(), replace(recipe, adversarial=dropping)], IMAGES, [])
    assert found.lanes == 1 and "patchgan has dropout" in found.note
    assert room.room(*given, [tiny_recipe(), recipe], IMAGES, []) == Room(3)


def test_without_a_gpu_of_cuda_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2}}])
    assert room.room(Demand(lanes=3), Slots(1, 1, 0, lanes=3), [], IMAGES, []) == Room(3)
    assert room.room(Demand(), Slots(1, 1, 0), [], IMAGES, []) == Room(1)


@pytest.mark.gpu
def test_a_gpu_has_room_for_several():
    found = find_room([tiny_recipe()], IMAGES, "cuda", 4)
    assert found.lanes == 4 and found.gain > 1
