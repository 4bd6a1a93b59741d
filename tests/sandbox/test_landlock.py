"""Landlock: files outside, TCP and shared memory are out of a child's reach, as far as the kernel knows how."""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from pathlib import Path
from typing import Any

import pytest
from confined_child import Trying, needs_landlock

from pol_jax.sandbox import landlock
from pol_jax.sandbox.landlock import READ, RUN, USE, WRITE, Right, restrict


def test_a_system_without_landlock_restricts_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(landlock, "_call", lambda *_: pytest.fail("called the kernel"))
    assert restrict({READ: ["/"]}) == 0


def test_no_right_to_read_is_one_to_write() -> None:
    """Devices alone are both read and written, and nothing is made beside them."""
    changes = Right.WRITE_FILE | Right.TRUNCATE | Right.MAKE_FILE | Right.REMOVE_FILE | Right.REFER
    assert not (READ | RUN) & changes
    assert READ in RUN
    assert READ in WRITE
    assert Right.EXECUTE not in WRITE | USE
    assert not USE & (Right.MAKE_FILE | Right.REMOVE_FILE | Right.MAKE_DEVICE)


@pytest.mark.parametrize(
    ("version", "tcp", "rights", "network", "scoped"),
    [(1, False, 13, 0, 0), (3, False, 15, 0, 0), (4, False, 15, 3, 0), (6, False, 16, 3, 3), (6, True, 16, 0, 3)],
)
def test_a_kernel_is_asked_for_what_it_knows(
    version: int, tcp: bool, rights: int, network: int, scoped: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of a kernel that is made up: the true one would restrict this process for ever."""
    called = list[tuple[Any, ...]]()

    def call(*arguments: Any) -> int:
        called.append(arguments)
        return os.open(tmp_path, os.O_RDONLY) if len(called) == 1 else 0

    monkeypatch.setattr(landlock, "_version", lambda: version)
    monkeypatch.setattr(landlock, "_call", call)
    monkeypatch.setattr(landlock, "_no_new_privileges", lambda: None)
    (tmp_path / "file").touch()
    paths = [str(tmp_path), str(tmp_path / "file"), str(tmp_path / "not there")]
    assert restrict({WRITE: paths}, tcp=tcp) == version
    (_, attributes, *_), folder, file, (_, _, _) = called
    known = 2**rights - 1
    assert struct.unpack("=QQQ", attributes) == (known, network, scoped)
    of_folder, of_file = (Right(struct.unpack("=Qi", each[3])[0]) for each in (folder, file))
    assert of_folder == WRITE & known
    assert of_file == of_folder & (Right.READ_FILE | Right.WRITE_FILE | Right.TRUNCATE)


@pytest.mark.interpreter
@needs_landlock
def test_child_reads_no_file_outside(trying: Trying, plain_proof: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(plain_proof)
    allowed, linked = f"open({str(plain_proof / 'claim.json')!r}).read()", f"os.listdir({str(tmp_path / 'link')!r})"
    found = trying(
        f"open({str(tmp_path / 'secret')!r}).read()",
        f"os.listdir({str(tmp_path)!r})",
        f"os.listdir({str(Path.home())!r})",
        f"open({str(plain_proof)!r} + '/../' * 20 + {str(tmp_path / 'secret')!r}).read()",
        "open('/etc/hosts').read()",
        "open(f'/proc/{os.getppid()}/environ').read()",
        "os.kill(os.getppid(), 0)",
        allowed,
        linked,
    )
    assert (found.pop(allowed), found.pop(linked), found.pop("unrestricted")) == ("", "", "")
    assert set(found.values()) == {"PermissionError"}, found


@pytest.mark.interpreter
@needs_landlock
def test_child_writes_nothing_outside(trying: Trying, plain_proof: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("as it was")
    theirs, claim = str(tmp_path / "there"), str(plain_proof / "claim.json")
    allowed = "tempfile.NamedTemporaryFile().write(b'scratch')"
    found = trying(
        *(f"open({str(tmp_path / 'new')!r}, 'w')", f"open({theirs!r}, 'a')", f"os.truncate({theirs!r}, 0)"),
        *(
            f"os.remove({theirs!r})",
            f"os.rename({theirs!r}, {theirs + '.moved'!r})",
            f"os.mkdir({theirs + '.folder'!r})",
        ),
        *(f"open({claim!r}, 'a')", f"os.symlink('/', {str(plain_proof / 'link')!r})", "open('/tmp/new', 'w')"),
        allowed,
    )
    assert (found.pop(allowed), found.pop("unrestricted")) == ("", "")
    assert set(found.values()) == {"PermissionError"}, found
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("there", "as it was")]


@needs_landlock
def test_landlock_alone_refuses_tcp(trying: Trying) -> None:
    """Each of two restrictions, without the other."""
    if landlock._version() < 4:
        pytest.skip("this kernel's Landlock knows no network")
    without = "from pol_jax.sandbox import confinement\nconfinement.filter_calls = lambda **_: False\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        told = {"unrestricted": "other system calls not restricted here"}
        assert trying(connect, before=without) == {connect: "PermissionError"} | told


@needs_landlock
def test_older_kernel_restricts_what_it_knows(trying: Trying, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    read = f"open({str(tmp_path / 'secret')!r}).read()"
    without = "from pol_jax.sandbox import landlock\nlandlock._version = lambda: 1\n"
    told = {"unrestricted": "cutting files not restricted here, signals not restricted here"}
    assert trying(read, before=without) == {read: "PermissionError"} | told


@needs_landlock
def test_child_sees_no_shared_memory_of_others(trying: Trying) -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as other:
        name = other.name
        found = trying(f"open({name!r}, 'rb')", f"open({name!r}, 'ab')", "os.listdir('/dev/shm')")
    assert found.pop("unrestricted") == ""
    assert set(found.values()) == {"PermissionError"}, found
