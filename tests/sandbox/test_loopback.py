"""A network of a child's own: it speaks with itself, and reaches nobody."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from confined_child import Trying

from pol_jax.sandbox import loopback


def test_other_systems_have_no_such_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("ctypes.CDLL", lambda *_: pytest.fail("called the kernel"))
    assert not loopback.enter()


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_where_namespaces_are_refused_nothing_else_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def unshare(self, flags: int) -> int:
            assert flags == 0x10000000 | 0x40000000 | 0x04000000  # users, networks, the host's name
            return -1

    monkeypatch.setattr("ctypes.CDLL", lambda *_: Refusing())
    monkeypatch.setattr("socket.sethostname", lambda _: pytest.fail("the machine's own name"))
    assert not loopback.enter()


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_child_with_a_network_of_its_own_reaches_nobody(trying: Trying, tmp_path: Path) -> None:
    own = "server = socket.create_server(('127.0.0.1', 0)); socket.create_connection(server.getsockname())"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "local"))
        local.listen()
        found = trying(
            own,
            f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))",
            "socket.create_connection(('192.0.2.1', 80), 5)",
            f"socket.socket(socket.AF_UNIX).connect({str(tmp_path / 'local')!r})",
            "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
            "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
            "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)",
            loopback=True,
        )
    if "no network of its own" in found["unrestricted"]:
        pytest.skip("processes may have no namespaces here")
    assert (found.pop(own), found.pop("unrestricted")) == ("", "")
    assert list(found.values()) == ["ConnectionRefusedError", "OSError", *["PermissionError"] * 4]
