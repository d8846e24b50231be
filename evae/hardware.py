"""The machine that a trial runs on: its device, its arithmetic, and what a manifest says of it and its packages."""

from __future__ import annotations

import glob
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from threadpoolctl import threadpool_limits

from evae.errors import UserError
from evae.lazy import torch

GPU_DEVICES = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dxg")
"""What Linux calls them: NVIDIA's, AMD's under ROCm, and those of Windows under WSL."""

BF16_MACS = 1e9
"""From how many multiply-accumulates an image on, encoded and decoded once, bf16 is taken for faster on a GPU. Measured
on one H200: at 0.012e9 (the paper's networks, 32 px, batches of 512) 59,500 images/s against 75,700 in fp32; at 90e9
(the official MoG-VAE, 256 px) 159 against 123 in batches of 10 and 269 against 169 in batches of 64, in 5.2 against
10.0 GiB and 31 against 62. Nothing between was tried, and no other card: this is the middle, in orders of magnitude."""


def accelerator() -> str:
    """The device that torch can use in this process: "cuda" (NVIDIA; AMD under ROCm), "mps" (Apple's Metal) or "cpu".

    Whatever counts as a GPU elsewhere, trials are trained on none but these.
    """
    if not _has_gpu():
        return "cpu"  # without torch, which takes seconds to import
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def find_device(name: str | None) -> torch.device:
    """The device of that name where it is there, else the CPU; by default a GPU where there is one. Raises UserError
    for a name that no device has."""
    try:
        device = torch.device(name or accelerator())
        here = device.type == "cpu" or torch.get_device_module(device).is_available()
    except RuntimeError:
        raise UserError(f"there is no kind of device called {name!r}: give cpu or cuda") from None
    return device if here else torch.device("cpu")


def having_float64(device: torch.device) -> torch.device:
    """The device where it surely has float64, else the CPU: Apple's Metal has none."""
    return device if device.type in ("cpu", "cuda") else torch.device("cpu")


def _has_gpu() -> bool:
    """Whether the system has a device that may be a GPU of a kind that torch knows."""
    return sys.platform != "linux" or any(glob.glob(pattern) for pattern in GPU_DEVICES)


def has_native_bf16(device: torch.device) -> bool:
    """Whether bf16 products run on matrix units: AMX tiles on a CPU, tensor cores since Ampere on CUDA.

    A CPU without AMX emulates bf16 and is slower with it than with fp32.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and torch.cpu._is_amx_tile_supported()


def resolve_precision(precision: str, device: torch.device, macs: Callable[[], float]) -> str:
    """ "fp32" or "bf16" for a recipe's precision on this device, where networks take so many multiply-accumulates for
    an image: "auto" is bf16 where it is native, on CUDA for `BF16_MACS` and more."""
    if precision != "auto":
        return precision
    worth_it = has_native_bf16(device) and (device.type != "cuda" or macs() >= BF16_MACS)
    return "bf16" if worth_it else "fp32"


def repeatable(device: torch.device) -> None:
    """On CUDA, let cuDNN take kernels alone that give the same numbers each time, and float32 be float32 (no TF32), in
    this process. Elsewhere nothing needs to be said."""
    if device.type == "cuda":
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def processor(device: torch.device) -> str:
    """The kind of GPU that the device is; else the CPU's, with the instructions that torch uses of it. Others sum in
    another order, and a training makes much of little."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu_name()}, {torch.backends.cpu.get_cpu_capability()}"


_LIMITED = Lock()
_INSIDE: list[threadpool_limits] = []
"""As often as somebody is inside of `threads_of_torch`, what was before the first of them."""


@contextmanager
def threads_of_torch() -> Iterator[None]:
    """While it lasts, numpy, scipy and scikit-learn use as many threads as torch does in this process, as far as they
    are loaded by now. Theirs is the number of cores where they were loaded before a trial said how many it has; trials
    beside each other then wait for each other's threads, and take two to twenty times as long.

    Threads of this process may be in here at once, and leave in any order: what was before comes back with the last."""
    with _LIMITED:
        found = threadpool_limits(torch.get_num_threads())
        _INSIDE.append(_INSIDE[0] if _INSIDE else found)
    try:
        yield
    finally:
        with _LIMITED:
            before = _INSIDE.pop()
            if not _INSIDE:
                before.restore_original_limits()


def describe() -> dict[str, Any]:
    """CPU, cores, memory in GiB, GPUs and host name of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    gpus += ["Apple GPU"] if accelerator() == "mps" else []
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory, 1),
        "gpus": gpus,
        "hostname": platform.node(),
    }


def installed(package: str) -> str | None:
    """The version of a package; None where it is not installed as one, but lies on the path as a folder."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
