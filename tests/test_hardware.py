"""The machine as a trial sees it."""

import json
import os
import platform
import sys

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from evae import hardware
from evae.errors import UserError
from evae.hardware import accelerator, describe, has_native_bf16, resolve_precision, threads_of_torch
from evae.macs import arithmetic
from evae.networks.conv import Conv
from evae.networks.resnet_v2 import ResNetV2
from evae.recipe import Recipe


@pytest.mark.parametrize(
    ("cuda", "metal", "device"),
    [(False, False, "cpu"), (True, False, "cuda"), (False, True, "mps"), (True, True, "cuda")],
)
def test_trials_are_trained_on_what_torch_can_use(monkeypatch, cuda, metal, device):
    monkeypatch.setattr(hardware, "GPU_DEVICES", ("/dev/null",))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: metal)
    assert accelerator() == device
    assert ("Apple GPU" in describe()["gpus"]) == (device == "mps")


@pytest.mark.skipif(sys.platform != "linux", reason="asks for Linux's devices")
def test_without_a_device_torch_is_not_asked(monkeypatch):
    monkeypatch.setattr(hardware, "GPU_DEVICES", ("/dev/no-such-device*",))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("asked"))
    assert accelerator() == "cpu"


def theirs() -> set[int]:
    """How many threads numpy may use."""
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_numpy_has_no_more_threads_than_torch():
    """As in a process that loaded it before a trial said how many threads it has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(2, user_api="blas"):
            assert theirs() == {2}
            with threads_of_torch():
                assert theirs() == {1}
            assert theirs() == {2}
    finally:
        torch.set_num_threads(threads)


def test_threads_that_leave_in_another_order_leave_what_was_before():
    with threadpool_limits(2, user_api="blas"):
        first, second = threads_of_torch(), threads_of_torch()
        first.__enter__(), second.__enter__()
        first.__exit__(None, None, None)
        assert theirs() == {torch.get_num_threads()}
        second.__exit__(None, None, None)
        assert theirs() == {2}


def unknown() -> float:
    """The multiplications of networks of which nobody needs to know."""
    raise AssertionError("asked")


def test_metal_multiplies_no_bf16_faster():
    assert resolve_precision("auto", torch.device("mps"), unknown) == "fp32"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_named_precision_is_taken_at_its_word(precision):
    assert resolve_precision(precision, torch.device("cpu"), unknown) == precision


def test_auto_takes_bf16_exactly_where_it_is_native():
    """The kernel lists the CPU's matrix units among its flags; torch is asked independently of them."""
    if not os.path.exists("/proc/cpuinfo"):
        pytest.skip("needs /proc/cpuinfo")
    with open("/proc/cpuinfo") as file:
        amx = "amx_bf16" in file.read()
    cpu = torch.device("cpu")
    assert has_native_bf16(cpu) == amx
    assert resolve_precision("auto", cpu, unknown) == ("bf16" if amx else "fp32")


@pytest.mark.parametrize(
    ("capability", "macs", "taken"), [((9, 0), 9e10, "bf16"), ((9, 0), 1.2e7, "fp32"), ((7, 5), 9e10, "fp32")]
)
def test_on_a_gpu_auto_takes_bf16_for_networks_that_gain_by_it(monkeypatch, capability, macs, taken):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_precision("auto", torch.device("cuda"), lambda: macs) == taken


@pytest.mark.parametrize(("network", "size", "taken"), [(Conv(), 32, "fp32"), (ResNetV2(), 256, "bf16")])
def test_the_measured_networks_are_on_the_sides_that_they_were_measured_on(monkeypatch, network, size, taken):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert arithmetic(Recipe(network=network, latent=256), size, 3, torch.device("cuda")) == taken


def test_the_description_is_json_and_fits_this_machine():
    told = json.loads(json.dumps(describe()))
    assert told.keys() == {"cpu", "cores", "memory_gib", "gpus", "hostname"}
    assert told["hostname"] == platform.node()
    assert 1 <= told["cores"] <= os.cpu_count()
    assert len(told["gpus"]) == torch.cuda.device_count()
    with open("/proc/meminfo") as file:
        total_kib = int(file.readline().split()[1])
    assert told["memory_gib"] == pytest.approx(total_kib / 2**20, abs=0.1)
    assert told["cpu"].strip() == told["cpu"] != ""


def test_a_device_that_is_not_here_is_replaced_and_one_that_is_none_refused() -> None:
    assert hardware.find_device("cpu") == torch.device("cpu")
    found = {hardware.find_device(name).type for name in (None, "cuda", "cuda:3")}
    assert torch.cuda.is_available() or found == {"cpu"}
    for name in ("gpu", "meta"):
        with pytest.raises(UserError, match=f"'{name}'"):
            hardware.find_device(name)
