"""Which addresses processes listen on, by the kernel's own tables."""

import contextlib
import os
import socket
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from pathlib import Path


def listening(pids: Iterable[int]) -> dict[tuple[str, int], int]:
    """(address, port) of every TCP socket on which one of the processes listens, with its process."""
    owners = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    owners[os.readlink(descriptor)] = pid
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and (owner := f"socket:[{rest[5]}]") in owners:
                address, _, port = local.partition(":")
                found[_written(address), int(port, 16)] = owners[owner]
    return found


def to_other_machines(pids: Iterable[int]) -> dict[tuple[str, int], int]:
    """Those sockets that are not on a loopback address."""
    return {place: pid for place, pid in listening(pids).items() if not _is_loopback(place[0])}


def _written(address: str) -> str:
    """The kernel writes 32-bit words in the machine's order."""
    raw = b"".join(int(address[i : i + 8], 16).to_bytes(4, "little") for i in range(0, len(address), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _is_loopback(address: str) -> bool:
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_loopback
