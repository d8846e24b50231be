"""Which machines are gone or about to go, on made-up nodes; tests/studies/test_nodes.py loses real ones."""

from types import SimpleNamespace

import pytest
import ray
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError

from evae.cluster import losses, private, worker_group
from evae.cluster.losses import Loss, Losses, PackLost, Watch, gone, loss
from evae.cluster.packs import LaneWorker
from evae.cluster.trainable import EpochTrainable
from evae.cluster.worker_group import WorkerGroup


@pytest.fixture
def cluster(monkeypatch) -> SimpleNamespace:
    """Three nodes, of which this process is on the first; none leaves."""
    made = SimpleNamespace(alive={"one", "two", "three"}, draining=set(), asked=0)

    def draining() -> set[str]:
        made.asked += 1
        return made.draining

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "one"))
    nodes = ("one", "two", "three")
    monkeypatch.setattr(ray, "nodes", lambda: [{"NodeID": name, "Alive": name in made.alive} for name in nodes])
    monkeypatch.setattr(private, "draining", draining)
    return made


def test_a_node_that_is_dead_or_leaves_is_gone(cluster):
    assert not gone(frozenset({"one", "two"}))
    cluster.alive.discard("two")
    assert gone(frozenset({"one", "two"})) and not gone(frozenset({"one", "three"}))
    cluster.draining.add("three")
    assert gone(frozenset({"three"})) and gone(frozenset({"never seen"}))


def test_a_process_asks_now_and_then_whether_its_machine_leaves(cluster, monkeypatch):
    watch = Watch()
    cluster.draining.add("one")
    assert not watch.machine_leaves() and cluster.asked == 0
    monkeypatch.setattr(losses, "LOOK_EVERY_S", -1.0)
    assert watch.machine_leaves()
    cluster.draining = {"two"}
    assert not watch.machine_leaves()


def test_without_other_machines_nobody_asks(cluster, monkeypatch):
    monkeypatch.setattr(losses, "LOOK_EVERY_S", -1.0)
    monkeypatch.setattr(private, "has_clusters", lambda: False)
    assert not Watch().machine_leaves() and cluster.asked == 0


def test_a_group_that_had_others_before_ray_missed_the_machine_does_not_count_it_in_the_end(cluster, monkeypatch):
    group = WorkerGroup.__new__(WorkerGroup)  # without the processes, for which this is too fast
    group.lost, group.counted = [], Losses(1)
    assert group._count(frozenset({"one", "two"})) is None
    monkeypatch.setattr(worker_group.time, "sleep", lambda seconds: cluster.alive.discard("three"))
    assert group._count(frozenset({"one", "three"})) is None  # missed while it was waited for
    monkeypatch.setattr(worker_group, "MISSED_AFTER_S", 0.0)
    assert group._count(frozenset({"one", "two"})).startswith("its process died 2 times")
    cluster.alive.discard("two")
    assert group._count(frozenset({"one"})) is None and group.losses == 4


def test_an_actor_that_could_not_be_built_is_told_by_its_error_and_not_as_killed():
    error = ValueError("no such plug-in")
    built = RayTaskError("Trainable.__init__", f"Traceback (most recent call last):\n  ...\nValueError: {error}", error)
    assert loss(str(ActorDiedError(built))) == Loss("ValueError: no such plug-in", False)
    assert loss(str(ActorDiedError())).why.startswith("its process died")


died = pytest.mark.parametrize("error", [ActorDiedError(), OutOfMemoryError("the node is running low on memory")])
"""A process that is gone, and one that Ray killed for the machine's memory."""


@died
def test_a_lane_whose_process_is_gone_is_lost_and_can_be_given_back(monkeypatch, error):
    def get(answer: object) -> None:
        raise error

    monkeypatch.setattr(ray, "get", get)
    lane, method = LaneWorker.__new__(LaneWorker), SimpleNamespace(remote=lambda *arguments: None)
    lane.pack, lane.number = SimpleNamespace(do=method, give_back=method), 0
    with pytest.raises(PackLost):
        lane.train_epoch()
    lane.end(), lane.close()


@died
@pytest.mark.parametrize("begun", [False, True])
def test_a_trial_that_loses_an_actor_that_it_needs_has_not_failed_and_starts_again(error, begun):
    """Such as the board of its worker group: in training, and where weights that were kept are measured."""

    def fail(*arguments: object) -> None:
        raise error

    made = EpochTrainable.__new__(EpochTrainable)  # without Ray's processes
    kept = SimpleNamespace(trial="t", row={}, store=SimpleNamespace(read_bytes=lambda folder, name: b""))
    made.begun, made.row = begun, {"state": "running", "epochs": 0, "epochs_planned": 2}
    made.job = SimpleNamespace(trial="t", configuration="c", seed=0, recipe={}, kept=kept)
    made.worker = SimpleNamespace(begin=fail, train_epoch=fail)
    with pytest.raises(type(error)):
        made._advance()
    assert made.row["state"] == "running" and "reason" not in made.row


def test_who_kills_a_shared_process_is_given_up_and_not_who_gets_on_beside_it():
    found = loss("evae.cluster.losses.PackLost")
    assert found.shared and not found.machine
    killer, neighbour = Losses(2), Losses(2)
    for _ in range(3):
        assert killer.too_many is None and neighbour.too_many is None
        killer.add(found.machine, found.shared), neighbour.add(found.machine, found.shared)
        neighbour.trained()  # what it has lost, anew
    assert killer.too_many.startswith("the process of its lane died 3 times in a row before it had trained an epoch")
    assert neighbour.too_many is None


def test_who_kills_a_shared_process_after_an_epoch_is_given_up_in_the_end():
    killer, neighbour = Losses(2), Losses(2)
    for _ in range(losses.IN_A_ROW + 1):
        assert killer.too_many is None and neighbour.too_many is None
        for one in (killer, neighbour):
            one.add(machine=False, shared=True)
            one.trained()
        neighbour.progress()
    assert killer.too_many.startswith("the process of its lane died 21 times without another epoch")
    assert neighbour.too_many is None
