"""How the workers of a group find each other: where Ray's own processes do, or in a file of the one machine."""

import os
import uuid
from dataclasses import dataclass

import ray
from ray.train.torch import TorchConfig

from evae.cluster import private

TorchBackend = private.torch_backend()
PATIENCE_S = 300
"""So long a worker waits for the others in one sum, or in the few steps that it replays at once
(`evae.stepping.epoch.AHEAD`), before it takes them for lost, and the group starts anew. PyTorch by itself waits for
half an hour."""


def process_group(folder: str) -> TorchConfig:
    """How the workers of a group find each other; `folder` is where they may leave files if all are on this machine."""
    if private.has_clusters():
        return OnMachines(timeout_s=PATIENCE_S)
    return OnOneMachine(timeout_s=PATIENCE_S, folder=folder)


class OnMachines(TorchConfig):
    """A process group that meets where Ray's own processes do."""

    @property
    def backend_cls(self) -> type[TorchBackend]:
        return _MeetOnNetwork


class _MeetOnNetwork(TorchBackend):
    def on_start(self, worker_group, backend_config):
        worker_group.execute(use_ray_network)
        worker_group.execute(let_steps_be_captured)
        super().on_start(worker_group, backend_config)


def use_ray_network() -> None:
    """Let Gloo listen in this process on the interface by which Ray knows this machine.

    By itself it takes the address of the machine's name, which many a system says is 127.0.0.1 or 127.0.1.1, where
    other machines look for it in vain. A GLOO_SOCKET_IFNAME that is set stays.
    """
    address = ray.util.get_node_ip_address()
    for interface, place in private.interfaces():
        if place == address:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)


def let_steps_be_captured() -> None:
    """Have NCCL in this process such that a step with its sums can be captured in a CUDA graph (PyTorch's notes on CUDA
    graphs, NCCL's on environment variables). What is set stays.

    NCCL_GRAPH_REGISTER=0: a process that captures waits for no other, which may have failed to.
    TORCH_NCCL_ASYNC_ERROR_HANDLING=3, PyTorch's own choice, where Ray Train takes 1: a process that has waited for
    longer than the timeout is ended at once. To end its process group first would wait for graphs which that group's
    sums are in (PyTorch issue 115388).
    """
    os.environ.setdefault("NCCL_GRAPH_REGISTER", "0")
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "3")


@dataclass
class OnOneMachine(TorchConfig):
    """A process group that meets in a file. The address where it meets otherwise is open to all machines."""

    folder: str = ""

    @property
    def backend_cls(self) -> type[TorchBackend]:
        return _MeetInFile


class _MeetInFile(TorchBackend):
    def on_start(self, worker_group, backend_config):
        # A new file for every start: what a group that was killed has left in its own would be believed.
        place = f"file://{backend_config.folder}/{uuid.uuid4().hex}"
        backend = "nccl" if worker_group.get_resources_per_worker().get("GPU") else "gloo"
        size = len(worker_group)
        worker_group.execute(let_steps_be_captured)
        ray.get(
            [
                worker_group.execute_single_async(
                    rank,
                    private.set_up_process_group,
                    backend=backend,
                    world_rank=rank,
                    world_size=size,
                    init_method=place,
                    timeout_s=backend_config.timeout_s,
                )
                for rank in range(size)
            ]
        )
