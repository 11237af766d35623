"""Addresses by which ranks reach each other; names that cannot be resolved are reported before ranks wait."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from harness.errors import LostRankError
from harness.training.device_choice import SharedStore

_TRIES = 3
_PAUSE_SECONDS = 1.0


def check_meeting_point(env: Mapping[str, str]) -> None:
    """Raise LostRankError if the host of torchrun's rendezvous cannot be resolved here."""
    host = env["MASTER_ADDR"]
    if not _found(host):
        where = "--local-addr=localhost" if _is_one_node(env) else "--local-addr=ADDRESS on each node"
        raise LostRankError(
            f"MASTER_ADDR: found {host!r}, a name that {socket.gethostname()} cannot resolve, expected one "
            f"that every node can; start torchrun with {where}, or add the name to /etc/hosts"
        )


def tell(run: SharedStore, env: Mapping[str, str]) -> None:
    """Publish this rank's network in the run's store, for `check_own` on the other ranks."""
    if not _is_one_node(env):
        run.set(f"network/{env['RANK']}", _network())


def check_own(run: SharedStore, env: Mapping[str, str]) -> None:
    """Raise LostRankError if other machines cannot reach this rank by its host's name, which gloo uses.

    All ranks must have called `tell` before.
    """
    if _is_one_node(env) or env.get("GLOO_SOCKET_IFNAME"):
        return
    networks = {run.get(f"network/{rank}") for rank in range(int(env["WORLD_SIZE"]))}
    host = socket.gethostname()
    addresses = _found(host) if len(networks) > 1 else []
    if len(networks) > 1 and (not addresses or ipaddress.ip_address(addresses[0]).is_loopback):
        what = f"leads to {addresses[0]}, which is only this host itself" if addresses else "is unknown to it"
        raise LostRankError(
            f"rank {env['RANK']} on {host}: the host's own name {what}; expected an address by which other "
            "nodes reach it; set GLOO_SOCKET_IFNAME to the interface between them (`ip address` lists all)"
        )


def _is_one_node(env: Mapping[str, str]) -> bool:
    return env.get("LOCAL_WORLD_SIZE") == env["WORLD_SIZE"]


def _found(host: str) -> list[str]:
    """Return the addresses of a host, the first as gloo takes it; none if its name cannot be resolved."""
    for left in reversed(range(_TRIES)):
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            return [str(address[0]).partition("%")[0] for *_, address in found]
        except socket.gaierror as error:
            if error.errno != socket.EAI_AGAIN or not left:  # a name server may be slow to answer
                return []
            time.sleep(_PAUSE_SECONDS)
    return []


def _network() -> str:
    """Return an id of this machine's network; the host's name if it cannot be read."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/net').readlink()}"
    except OSError:
        return socket.gethostname()
