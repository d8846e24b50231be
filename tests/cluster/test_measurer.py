"""Trials measured again: what becomes of a process that is killed."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import time
from types import SimpleNamespace

import ray

from evae.cluster import measurer


class Slow:
    def __init__(self, setting):
        pass

    def measure(self, again):
        time.sleep(60)


measurer.Measurer = Slow
ray.init(address="local", num_cpus=1, include_dashboard=False, logging_level="ERROR")
for again, found in measurer.measure_all(["a", "b"], SimpleNamespace(cpus=1, gpus=0), SimpleNamespace(now=lambda: 1)):
    print(again, found.partition(":")[0])
"""


@pytest.mark.slow
def test_a_process_that_is_killed_for_its_memory_costs_its_trial_alone():
    no_memory = {"RAY_memory_usage_threshold": "0", "RAY_memory_monitor_refresh_ms": "100"}
    ran = subprocess.run([sys.executable, "-c", SCRIPT], env=os.environ | no_memory, capture_output=True, text=True)
    said = [line for line in ran.stdout.splitlines() if "the process" in line]
    assert said == ["a the process that measured it died", "b the process that measured it died"], ran.stderr
