"""A Ray that takes long to start, or does not come up."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from threading import Timer
from types import SimpleNamespace

import pytest
import ray
from ray.experimental import internal_kv
from running import processes

from evae.cluster import private
from evae.cluster.demand import Demand
from evae.cluster.machine import ray_session
from evae.errors import UserError


class Asked:
    """Stands for what Ray asks whether its raylet is there, which it is after so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: float):
        self.left = times
        self.services = SimpleNamespace(get_node=self.ask)
        monkeypatch.setattr(private, "services", self.services)

    def ask(self, address: str, node: str) -> str:
        self.left -= 1
        if self.left >= 0:
            raise RuntimeError("not yet")
        return f"{node} at {address}"


def test_a_raylet_is_waited_for(monkeypatch):
    asked = Asked(monkeypatch, 3)
    with private.patiently():
        assert asked.services.get_node("here", "it") == "it at here"
    assert asked.services.get_node == asked.ask


def test_one_that_does_not_come_up_is_not_waited_for_without_end(monkeypatch):
    monkeypatch.setattr(private, "_STARTING_S", 0.3)
    asked, clock = Asked(monkeypatch, float("inf")), time.monotonic()
    with pytest.raises(TimeoutError, match=r"not come up in 0.3 s"), private.patiently():
        asked.services.get_node("here", "it")
    assert time.monotonic() - clock > 0.3


@pytest.mark.parametrize("given", [None, "7"])
def test_what_is_set_for_rays_head_stays(monkeypatch, given):
    monkeypatch.delenv(private._GCS_WAIT, raising=False)
    if given:
        monkeypatch.setenv(private._GCS_WAIT, given)
    with private.patiently():
        assert os.environ[private._GCS_WAIT] == (given or str(private._STARTING_S))
    assert os.environ.get(private._GCS_WAIT) == given


def with_raylet(monkeypatch: pytest.MonkeyPatch, do: Callable[[subprocess.Popen], object]) -> None:
    """Do this with the raylet as Ray starts it."""
    start = private.node.Node.start_raylet

    def started(new: private.node.Node, *given: object, **options: object) -> None:
        start(new, *given, **options)
        do(new.all_processes["raylet"][0].process)

    monkeypatch.setattr(private.node.Node, "start_raylet", started)


def test_one_that_ends_as_it_starts_is_an_error_that_says_so_and_leaves_nothing(monkeypatch):
    before = set(processes(os.getsid(0)))
    with_raylet(monkeypatch, lambda raylet: raylet.kill())
    words = "Ray does not start on this machine: its raylet ended as it started. It needs free memory"
    with pytest.raises(UserError, match=words), ray_session(Demand(), trains=False):
        pytest.fail("there is none")
    assert not ray.is_initialized() and not internal_kv._internal_kv_initialized()
    left = [line for number, line in processes(os.getsid(0)).items() if number not in before]
    assert not [line for line in left if "gcs_server" in line or "raylet" in line]


@pytest.mark.slow
def test_a_study_begins_however_long_its_raylet_takes_within_reason(monkeypatch):
    def pause(raylet: subprocess.Popen) -> None:
        raylet.send_signal(signal.SIGSTOP)
        Timer(40, raylet.send_signal, (signal.SIGCONT,)).start()

    with_raylet(monkeypatch, pause)
    with ray_session(Demand(), trains=False):
        assert ray.get(ray.remote(num_cpus=0)(lambda: 7).remote()) == 7
