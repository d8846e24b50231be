"""How many trials fit on the machines, without starting any: the rule on made-up nodes."""

import pytest
import ray

from evae.cluster import machine
from evae.cluster.demand import Demand
from evae.cluster.machine import Slots, find_slots, needed_cores
from evae.errors import UserError


def node(cpus: float, gpus: float = 0, alive: bool = True) -> dict:
    return {"Alive": alive, "Resources": {"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus}}


@pytest.mark.parametrize(
    ("nodes", "options", "count"),
    [
        ([node(2)], {}, 2),
        ([node(8)], {"cpus": 3}, 2),
        ([node(8)], {"trials_at_once": 5}, 5),
        ([node(8, gpus=2)], {}, 2),
        ([node(8, gpus=2)], {"gpus": 0.25}, 8),
        ([node(8, gpus=2)], {"gpus": 0}, 8),
        ([node(2)], {"workers": 2}, 1),
        ([node(2)], {"lanes": 3}, 6),
        ([node(8, gpus=2)], {"lanes": 16}, 32),
        ([node(8, gpus=2)], {"lanes": 16, "trials_at_once": 20}, 20),
        ([node(4), node(4), node(8, alive=False)], {"workers": 3}, 2),
        # A worker needs all of its cores on one node: 3 + 3 cores hold two workers of two cores, not three.
        ([node(3), node(3)], {"workers": 2, "cpus": 2}, 1),
        ([node(0), node(16, gpus=4)], {"workers": 2}, 2),
    ],
)
def test_as_many_trials_as_have_room(monkeypatch, nodes, options, count):
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr(machine, "accelerator", lambda: "cuda")
    slots = find_slots(Demand(**options))
    assert slots.now() == slots.room() == count and slots.mean() == count


@pytest.mark.parametrize(
    ("nodes", "options"),
    [
        ([node(2)], {"workers": 3}),
        ([node(2)], {"cpus": 4}),
        ([node(8)], {"gpus": 1}),
        ([node(3), node(3)], {"workers": 3, "cpus": 2}),
    ],
)
def test_what_does_not_fit_is_refused_with_what_is_asked_and_what_is_there(monkeypatch, nodes, options):
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    cores = sum(n["Resources"]["CPU"] for n in nodes)
    with pytest.raises(UserError, match=rf"asks for .* but there are {cores:g} CPUs and 0 GPUs on {len(nodes)} node"):
        find_slots(Demand(**options))


@pytest.mark.parametrize(
    ("options", "cores"),
    [
        ({}, 8),
        ({"cpus": 0.5}, 8),
        ({"trials_at_once": 3}, 3),
        ({"trials_at_once": 3, "cpus": 0.5}, 2),
        ({"trials_at_once": 2, "workers": 2, "cpus": 1.5}, 6),
        ({"trials_at_once": 20}, 8),
    ],
)
def test_processes_wait_on_no_more_cores_than_trials_have_use_for(monkeypatch, options, cores):
    monkeypatch.setattr(machine.private, "cores", lambda: 8)
    assert needed_cores(Demand(**options)) == cores


def test_on_a_cluster_that_grows_trials_may_wait_for_machines(monkeypatch):
    monkeypatch.setattr(ray, "nodes", lambda: [node(0)])
    slots = find_slots(Demand(address="auto", trials_at_once=4, gpus=1))
    assert (slots.now(), slots.room(), slots.gpus) == (0, 4, 1.0)
    for options in ({"address": "auto"}, {"trials_at_once": 4}):
        with pytest.raises(UserError, match="asks for"):
            find_slots(Demand(**options))


@pytest.mark.parametrize(
    ("device", "options", "count", "gpus"),
    [
        ("mps", {}, 1, 1),  # a Mac with eight cores: Ray counts one GPU
        ("mps", {"gpus": 0}, 8, 0),
        ("mps", {"workers": 2}, 4, 0),  # its GPU is not shared by the workers of a trial
        ("cpu", {}, 8, 0),  # what Ray counts as a GPU, and torch knows nothing of
        ("cpu", {"workers": 2}, 4, 0),
        ("cuda", {}, 1, 1),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_left_alone(monkeypatch, device, options, count, gpus):
    monkeypatch.setattr(ray, "nodes", lambda: [node(8, gpus=1)])
    monkeypatch.setattr(machine, "accelerator", lambda: device)
    slots = find_slots(Demand(**options))
    assert (slots.now(), slots.gpus) == (count, gpus)
    assert slots.idle_gpus == (gpus == 0 and "gpus" not in options)


@pytest.mark.parametrize(("devices", "gpus"), [({"cpu"}, 0), ({"cuda"}, 1), ({"cpu", "cuda"}, 1)])
def test_on_a_cluster_the_machines_say_what_torch_can_use_there(monkeypatch, devices, gpus):
    monkeypatch.setattr(ray, "nodes", lambda: [node(0), node(8, gpus=1), node(8, gpus=1)])
    monkeypatch.setattr(machine, "accelerator", lambda: "cpu")  # of the head, which leads
    monkeypatch.setattr(machine, "devices", lambda: devices)
    assert find_slots(Demand(address="auto")).gpus == gpus


@pytest.mark.parametrize("device", ["mps", "cpu"])
def test_workers_of_one_trial_that_shall_share_gpus_without_cuda_are_refused(monkeypatch, device):
    monkeypatch.setattr(ray, "nodes", lambda: [node(8, gpus=2)])
    monkeypatch.setattr(machine, "accelerator", lambda: device)
    with pytest.raises(UserError, match="none of CUDA's: give --gpus-per-worker 0"):
        find_slots(Demand(workers=2, gpus=1))


def test_a_machine_that_joins_brings_room(monkeypatch):
    nodes = [node(2)]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr(machine, "COUNT_EVERY_S", -1.0)
    slots = find_slots(Demand())
    assert slots.room() == 2
    nodes.append(node(4))
    assert slots.room() == 6 and 2 <= slots.mean() <= 6


def test_a_leader_of_a_worker_group_leaves_the_cores_to_its_workers(monkeypatch):
    monkeypatch.setattr(ray, "nodes", lambda: [node(4, gpus=2)])
    assert Slots(1, 2.0, 0.5).resources == {"CPU": 2.0, "GPU": 0.5}
    assert Slots(2, 2.0, 1.0).resources["CPU"] == 0


@pytest.mark.parametrize("lanes", range(1, 65))
def test_the_lanes_of_a_process_have_room_in_what_it_takes(monkeypatch, lanes):
    """As Ray counts, in parts of 10,000."""
    monkeypatch.setattr(ray, "nodes", lambda: [])
    taken = Slots(1, 1, 1, at_once=1, lanes=lanes).resources
    for whole in taken.values():
        assert 0 < lanes * round(whole * 1e4) <= 1e4 < (lanes + 1) * round(whole * 1e4)


def test_lanes_are_not_for_every_gpu(monkeypatch):
    monkeypatch.setattr(ray, "nodes", lambda: [node(8, gpus=1)])
    monkeypatch.setattr(machine, "accelerator", lambda: "mps")
    with pytest.raises(UserError, match="a GPU of CUDA's, which is not here: give --lanes 1"):
        find_slots(Demand(lanes=2))
    assert find_slots(Demand()).lanes == 1 and find_slots(Demand(lanes=2, gpus=0)).lanes == 2
