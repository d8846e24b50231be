"""The process that measures how many lanes have room is the one that trains in them, or is gone."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from running import processes, wait_until
from tiny import tiny_images, tiny_recipe

from evae.cluster import pack
from evae.cluster.demand import Demand
from evae.cluster.machine import Slots
from evae.cluster.pack import AT_ONCE, Threads
from evae.cluster.packs import LaneWorker, shared
from evae.cluster.private import patiently
from evae.cluster.setting import Setting
from evae.cluster.worker import Worker
from evae.data.pixels import on_device
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.plugins import find
from evae.posteriors.evae import Evae
from evae.results.store import Store
from evae.study import room
from evae.study.room import Room

IMAGES, RECIPE = tiny_images(), tiny_recipe(Evae())
OF_RAY = {"num_cpus": 2, "num_gpus": 1, "include_dashboard": False, "logging_level": "CRITICAL", "log_to_driver": False}


@pytest.fixture(scope="module")
def ray_with_a_gpu() -> Iterator[None]:
    """Where there is none it is made up: torch uses the CPU."""
    with patiently():
        ray.init("local", **OF_RAY)
    # So that other processes can do this module's work, which they cannot import.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    ray.shutdown()


@pytest.fixture
def slots(ray_with_a_gpu) -> Slots:
    """Those of a study that believes in CUDA. No pack is left of the test before."""
    wait_until(lambda: not packs(), "the pack of another test lives")
    made = Slots(1, 1, 1)
    made.cuda = True
    return made


def packs() -> list[int]:
    """The processes of packs."""
    return [number for number, command in processes(os.getsid(0)).items() if re.match(r"ray::Pack\b", command)]


def setting_of(folder: Path, found: Room, **more: Any) -> Setting:
    features = load_features("efficientnet-lite0-b2")
    references = {s: reference(getattr(IMAGES, s), IMAGES.train, features, cache=None) for s in ("validation", "test")}
    whole = {"study": "study", "store": Store(folder / "study"), "images": IMAGES, "references": references}
    return Setting(**whole, cpus=1, gpus=1, keep="none", lanes=found.lanes, packs=found.packs, **more)


@ray.remote(num_cpus=0, num_gpus=0.5)
class Trial:
    """A process that has a lane, as Tune's actor of a trial."""

    def __init__(self, setting: Setting):
        self.worker = LaneWorker(setting)

    def train(self, recipe: dict[str, Any]) -> tuple[list[float], dict[str, Any]]:
        """The loss of each epoch, and the metrics in the end."""
        return trained(self.worker, recipe)

    def lane(self) -> int:
        return self.worker.number


def trained(worker: Any, recipe: dict[str, Any]) -> tuple[list[float], dict[str, Any]]:
    worker.begin(recipe, None)
    losses = [worker.train_epoch()["train_loss_nats"] for _ in range(2)]
    return losses, {name: value for name, value in worker.evaluate().metrics.items() if value == value}


def of_the_pack(found: Room, work: Callable[[Threads], Any]) -> Any:
    """What the work returns in the process that has measured."""
    (known,) = ray.get(found.packs.at.remote(ray.get_runtime_context().get_node_id(), "0", 0, 2, 1)).values()
    return ray.get(known.first.remote(work))


def ready(threads: Threads) -> list[str]:
    """The threads that measure, once they have all done it."""
    assert [done.exception() for done in threads.warming] == [None] * AT_ONCE
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("measuring")]


def check_trains(found: Room, folder: Path, device: str) -> None:
    """The process that has measured trains the numbers that a trial has alone."""
    (process,) = packs()
    setting = setting_of(folder, found)
    alone = Worker(IMAGES, setting.references, torch.device(device), 1)
    recipes = [RECIPE.to_dict(), tiny_recipe(seed=1).to_dict()]
    expected = [trained(alone, recipe) for recipe in recipes]
    given = shared(setting)
    trials = [Trial.remote(given) for _ in recipes]
    assert ray.get([trial.train.remote(recipe) for trial, recipe in zip(trials, recipes, strict=True)]) == expected
    assert sorted(ray.get([trial.lane.remote() for trial in trials])) == [0, 1] and packs() == [process]


def test_the_process_that_measures_trains_and_is_replaced_where_it_dies(slots, tmp_path):
    found = room.room(Demand(lanes=2), slots, [RECIPE], IMAGES, [])
    assert found.lanes == 2 and found.gain > 0 and found.note.startswith("2 lanes a process")
    assert len(of_the_pack(found, ready)) == AT_ONCE
    check_trains(found, tmp_path, "cpu")
    (process,) = packs()
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: process not in processes(os.getsid(0)), "it lives")
    again = Trial.remote(shared(setting_of(tmp_path, found)))
    losses, _ = ray.get(again.train.remote(RECIPE.to_dict()))
    assert len(losses) == 2 and len(packs()) == 1


def test_a_pack_that_dies_before_any_trial_comes_is_replaced(slots, tmp_path):
    found = room.room(Demand(lanes=2), slots, [RECIPE], IMAGES, [])
    (process,) = packs()
    os.kill(process, signal.SIGKILL)
    trial = Trial.remote(shared(setting_of(tmp_path, found)))
    assert len(ray.get(trial.train.remote(RECIPE.to_dict()))[0]) == 2 and process not in packs()


def gone() -> bool:
    """Whether no process of a study's packs is left, and the GPU is free."""
    wait_until(lambda: ray.available_resources().get("GPU") == 1, "the GPU is held")
    return not packs()


def of_one_lane(threads: Threads, *asked: object) -> Room:
    return Room(1, note="1 lane a process")


def killed(threads: Threads, *asked: object) -> Room:
    os._exit(1)


def test_where_one_lane_has_room_the_process_that_measured_is_gone(slots, monkeypatch):
    monkeypatch.setattr(room, "_find_room", of_one_lane)
    found = room.room(Demand(), slots, [RECIPE], IMAGES, [])
    assert not packs()  # at once: trials' own processes come now
    assert found == Room(1, note="1 lane a process") and gone()


def test_a_process_that_dies_while_it_measures_is_told(slots, monkeypatch):
    monkeypatch.setattr(room, "_find_room", killed)
    found = room.room(Demand(), slots, [RECIPE], IMAGES, [])
    assert found.lanes == 1 and found.packs is None and gone()
    assert (
        found.note.startswith("one lane a GPU: how many have room could not be measured (") and "\n" not in found.note
    )


def test_what_fails_while_it_is_measured_is_told(slots):
    found = room.room(Demand(lanes=2), slots, [RECIPE], replace(IMAGES, validation=None), [])
    assert not packs()
    assert found.lanes == 1 and found.packs is None and gone()
    assert "could not be measured (" in found.note and "\n" not in found.note


PLUGIN = """
from dataclasses import dataclass
from evae.posteriors import posterior
from evae.posteriors.gaussian import Gaussian

with open({here!r}, "a") as lines:
    lines.write("loaded in {{}}\\n".format(__import__("os").getpid()))

@posterior
@dataclass(frozen=True, kw_only=True)
class Counted(Gaussian):
    family = "counted"
"""


def test_a_plug_in_is_loaded_once_by_the_process_that_measures_and_trains(slots, tmp_path):
    here, file = tmp_path / "loaded", tmp_path / "counted.py"
    file.write_text(PLUGIN.format(here=str(here)))
    plugin = find(str(file))
    given = RECIPE.to_dict() | {"posterior": RECIPE.to_dict()["posterior"] | {"family": "counted"}}
    given["posterior"] = {"family": "counted", "beta": 1.0}

    class Known:
        """A recipe of a family that this process has not loaded."""

        posterior, network, adversarial, latent = RECIPE.posterior, RECIPE.network, None, RECIPE.latent

        def to_dict(self) -> dict[str, Any]:
            return given

    found = room.room(Demand(lanes=2), slots, [Known()], IMAGES, [plugin])
    assert found.lanes == 2, found.note
    trial = Trial.remote(shared(setting_of(tmp_path, found, plugins=(plugin,))))
    assert len(ray.get(trial.train.remote(given))[0]) == 2
    assert here.read_text().splitlines() == [f"loaded in {packs()[0]}"]


INTERRUPTED = f"""
import sys
import ray
from tiny import tiny_images, tiny_recipe
from evae.cluster.demand import Demand
from evae.cluster.machine import Slots
from evae.study import room

def forever(threads, plugins, *asked):
    open(plugins, "w").close()  # where this script is told to
    __import__("time").sleep(10**6)

room._find_room = forever
ray.init("local", **{OF_RAY})
slots = Slots(1, 1, 1)
slots.cuda = True
try:
    room.room(Demand(lanes=2), slots, [tiny_recipe()], tiny_images(), sys.argv[1])
finally:
    ray.shutdown()
"""


@pytest.mark.slow
def test_ctrl_c_while_it_is_measured_leaves_no_process(tmp_path):
    measures = tmp_path / "measures"
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(measures)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    wait_until(lambda: measures.exists() or process.poll() is not None, "nothing is measured")
    os.kill(process.pid, signal.SIGINT)
    said = process.communicate()[1]
    assert measures.exists() and said.endswith("KeyboardInterrupt\n"), said
    wait_until(lambda: not processes(process.pid), "a process is left behind")


def test_each_thread_that_measures_is_warmed_and_that_it_fails_is_nobodys_matter():
    used: list[str] = []
    with Threads(measures=True) as threads:
        threads.warm(lambda: used.append(threading.current_thread().name))
        threads.settle(0)
        assert len(set(used)) == len(used) == AT_ONCE

        def fail() -> None:
            raise MemoryError

        threads.warm(fail)
        threads.settle(0)
        assert threads.measure(sum, [1, 2]) == 3


def test_where_a_thread_does_not_come_the_others_do_not_wait_for_it(monkeypatch):
    come = iter(range(AT_ONCE - 1))
    monkeypatch.setattr(pack, "_prepare", lambda *given: next(come))
    with Threads(measures=True) as threads:
        threads.warm(lambda: None)
        threads.settle(0)
        with pytest.raises(RuntimeError):
            threads.measure(lambda: None)


def test_the_threads_of_lanes_are_kept_and_those_that_are_too_many_end():
    with Threads() as threads:
        first = [thread.submit(threading.get_ident).result() for thread in threads.lanes(3)]
        threads.settle(2)
        assert [thread.submit(threading.get_ident).result() for thread in threads.lanes(2)] == first[:2]
        assert threads.measure(threading.get_ident) == threading.get_ident()


def reserved(threads: Threads) -> tuple[int, int, list[int]]:
    """Bytes of the GPU that are taken, once all is settled, what a trial's images take of them, and the streams of
    all threads."""
    threads.settle(2)
    where = [*threads.lanes(2), *[threads.measuring] * AT_ONCE]
    barrier = threading.Barrier(AT_ONCE)

    def stream(measures: bool) -> int:
        if measures:
            barrier.wait()
        return torch.cuda.current_stream().cuda_stream

    asked = [thread.submit(stream, number >= 2) for number, thread in enumerate(where)]
    images = on_device(IMAGES.train, torch.device("cuda")).nbytes
    return torch.cuda.memory_allocated(), images, [one.result() for one in asked]


@pytest.mark.gpu
def test_the_process_that_measures_on_a_gpu_gives_its_memory_back_and_trains(slots, tmp_path):
    found = room.room(Demand(lanes=2), slots, [RECIPE], IMAGES, [])
    assert found.lanes == 2 and found.gain > 0, found.note
    assert len(of_the_pack(found, ready)) == AT_ONCE
    taken, images, streams = of_the_pack(found, reserved)
    assert len(set(streams)) == 2 + AT_ONCE
    # What remains is the network of the features, and a workspace of 32 MiB for each of cuBLAS's threads.
    assert taken < 2**20 * (100 + 40 * (2 + AT_ONCE)) + images
    check_trains(found, tmp_path, "cuda")
