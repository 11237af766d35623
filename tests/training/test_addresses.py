"""Hosts whose names lead nowhere: a message in time, where several nodes need more than this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import LostRankError
from harness.training import addresses

TWO_NODES = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "first"}
ONE_NODE = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "first"}


class Store:
    def __init__(self, **keys: str) -> None:
        self.keys = keys

    def set(self, key: str, text: str) -> None:
        self.keys[key] = text

    def get(self, key: str) -> str | None:
        return self.keys.get(key)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the names that can be resolved, to be filled; this host is called `here`."""
    known: dict[str, str] = {}

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (known[host], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    return known


@pytest.mark.parametrize(
    ("env", "advice"),
    [(ONE_NODE, "--local-addr=localhost"), (TWO_NODES, "--local-addr=ADDRESS on each node")],
)
def test_an_unknown_meeting_point_is_said(env: dict[str, str], advice: str, hosts: dict[str, str]) -> None:
    with pytest.raises(LostRankError, match=f"MASTER_ADDR: found 'first', a name that here .*{advice}"):
        addresses.check_meeting_point(env)
    hosts["first"] = "10.1.2.3"
    addresses.check_meeting_point(env)


def test_a_name_server_may_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), [(0, 0, 0, "", ("10.1.2.3", 0))]]

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(addresses, "_PAUSE_SECONDS", 0.0)
    addresses.check_meeting_point(TWO_NODES)
    assert not answers


@pytest.mark.parametrize(
    ("address", "what"),
    [(None, "is unknown to it"), ("127.0.1.1", "leads to 127.0.1.1"), ("::1", "leads to ::1")],
)
def test_a_host_that_offers_itself_only_is_said(
    address: str | None, what: str, hosts: dict[str, str]
) -> None:
    """As Debian names a host in /etc/hosts; the others would wait for it until the timeout."""
    if address:
        hosts["here"] = address
    store = Store(**{"network/0": "another machine"})
    addresses.tell(store, TWO_NODES)
    with pytest.raises(
        LostRankError, match=f"rank 1 on here: the host's own name {what}.*GLOO_SOCKET_IFNAME"
    ):
        addresses.check_own(store, TWO_NODES)
    addresses.check_own(store, {**TWO_NODES, "GLOO_SOCKET_IFNAME": "eth0"})
    hosts["here"] = "10.1.2.4"
    addresses.check_own(store, TWO_NODES)


@pytest.mark.parametrize("env", [ONE_NODE, TWO_NODES])
def test_on_one_machine_no_name_is_needed(env: dict[str, str], hosts: Callable[[], dict[str, str]]) -> None:
    """Nor where two torchruns on it stand for two nodes."""
    store = Store()
    for rank in "01":
        addresses.tell(store, {**env, "RANK": rank})
    addresses.check_own(store, env)
