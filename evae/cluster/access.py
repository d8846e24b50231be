"""Who may reach a study: whoever reaches a port of Ray's runs code on its machines, unless a token is asked for.

By itself Ray listens on all of a machine's addresses, also where nobody asked for a cluster. A study on one machine
listens on that machine's loopback only; one on several is refused where no token guards them.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping

import grpc
import ray

from evae.cluster import private
from evae.cluster.versions import machines
from evae.errors import UserError

LOOPBACK = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
CONNECT_S, ANSWER_S = 5.0, 60.0
"""A head to which there is no way by then is not there; one that is busy may take longer to answer."""
MAKE_TOKEN = (
    "ray get-auth-token --generate, copy ~/.ray/auth_token to all machines, RAY_AUTH_MODE=token before every ray start"
)


@contextlib.contextmanager
def on_this_machine_only() -> Iterator[None]:
    """A Ray that is started inside, and the worker groups, listen on the loopback interface alone."""
    interfaces = {f"{library}_SOCKET_IFNAME": LOOPBACK for library in ("GLOO", "NCCL")}
    with private.without_clusters() as settings, environment(interfaces | settings), private.own_token():
        yield


@contextlib.contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Environment variables set inside, for the processes that are started there too."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def knock(address: str) -> None:
    """Raise UserError within seconds where a Ray cluster is not there, or will not let this process in.

    Ray itself keeps trying for minutes.
    """
    try:
        place = private.head_at(address)
        if place is None:
            return  # "auto", and Ray will look for processes of its own here
        host, _, port = place.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except ValueError:
        raise UserError(f'an address is "auto" or HOST:PORT, such as 192.168.1.10:6379; got {address!r}') from None
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at {address!r}: {error}. Start one with `ray start --head`, or leave --address "
            "out to use this machine alone."
        ) from None
    token = private.token_header(address)
    if not _lets_in(place, token):
        fault = "the one here (~/.ray/auth_token) is another" if token else "this process has none"
        raise UserError(
            f"the Ray cluster at {address!r} asks for its token, and {fault}; copy ~/.ray/auth_token from the "
            "cluster's head to this machine, and set RAY_AUTH_MODE=token."
        )


def is_open(place: str) -> bool:
    """Whether the head at HOST:PORT lets in who has no token."""
    return _lets_in(place, {})


def require_token() -> None:
    """Raise UserError where the cluster that was joined has several machines and lets everybody in."""
    if (count := machines()) < 2 or os.environ.get("RAY_AUTH_MODE") == "disabled":
        return
    if is_open(ray.get_runtime_context().gcs_address):
        raise UserError(
            f"this cluster of {count} machines asks for no token, so that whoever reaches it runs code on all "
            f"of them: {MAKE_TOKEN}. Where nobody else can reach them, RAY_AUTH_MODE=disabled lets a study run."
        )


def _lets_in(place: str, header: Mapping[str, str]) -> bool:
    """Whether the head answers the simplest question that it knows. Raises UserError where there is no head."""
    with grpc.insecure_channel(place, [("grpc.enable_http_proxy", 0)]) as channel:
        ask = channel.unary_unary(private.ALIVE)
        try:
            ask(b"", timeout=ANSWER_S, metadata=list(header.items()))
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise UserError(
                f"what listens at {place} does not answer as the head of a Ray cluster: {error.details()}. Give the "
                "address that `ray start --head` said, or leave --address out to use this machine alone."
            ) from None
    return True
