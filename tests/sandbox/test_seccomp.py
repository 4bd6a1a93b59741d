"""The filter on system calls, and what it keeps a child from: files that it can't open, processes, sockets."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest
from confined_child import Trying, needs_filter

from pol_jax.sandbox import seccomp
from pol_jax.sandbox.seccomp import filter_calls
from pol_jax.sandbox.system_calls import MACHINES, SystemCalls

ALLOWED, REFUSED, MISSING = 0x7FFF0000, 0x00050000 | errno.EACCES, 0x00050000 | errno.ENOSYS


def asked(calls: SystemCalls, number: int, *arguments: int, **how: bool) -> int:
    """What the filter answers to a call: it is executed as the kernel does."""
    seen = {0: number, 4: how.pop("other_machine", False) or calls.architecture}
    seen |= {16 + 8 * at: argument for at, argument in enumerate(arguments)}
    lines = seccomp._filter(calls, how.get("processes", False), how.get("sockets", False))
    at, held = 0, 0
    while True:
        operation, if_true, if_false, operand = lines[at]
        at += 1
        if operation == 0x06:
            return operand
        if operation == 0x20:
            held = seen.get(operand, 0)
            continue
        true = {0x15: held == operand, 0x35: held >= operand, 0x45: bool(held & operand)}[operation]
        at += if_true if true else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_on_the_list_are_refused_and_others_are_not(machine: str) -> None:
    calls = MACHINES[machine]
    read = 0 if machine == "x86_64" else 63
    assert asked(calls, read) == ALLOWED
    for number in (*calls.refused.values(), *calls.new_processes.values(), calls.socket):
        assert asked(calls, number) == REFUSED
    for number in calls.own_alone.values():
        assert (asked(calls, number, 0), asked(calls, number, 7)) == (ALLOWED, REFUSED)
    assert asked(calls, calls.clone3) == MISSING, "the C library then calls clone, whose flags can be seen"
    assert asked(calls, 0x40000000 | read) == REFUSED, "other numbers for the same calls"
    assert asked(calls, read, other_machine=True) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_are_no_processes_and_namespaces_are_neither(machine: str) -> None:
    calls, thread, namespace = MACHINES[machine], 0x10000, 0x10000000
    assert asked(calls, calls.clone, thread) == ALLOWED
    assert asked(calls, calls.clone, 0) == REFUSED
    assert asked(calls, calls.clone, 0, processes=True) == ALLOWED
    assert asked(calls, calls.clone, thread | namespace, processes=True) == REFUSED
    for number in calls.new_processes.values():
        assert asked(calls, number, processes=True) == ALLOWED


@pytest.mark.parametrize("machine", MACHINES)
def test_sockets_of_the_internet_are_for_who_is_alone_in_its_network(machine: str) -> None:
    calls = MACHINES[machine]
    for family, protocol, answer in ((2, 0, ALLOWED), (10, 0, ALLOWED), (16, 0, ALLOWED), (16, 16, REFUSED)):
        assert asked(calls, calls.socket, family, 0, protocol, sockets=True) == answer
    assert asked(calls, calls.socket, 1, sockets=True) == REFUSED


@pytest.mark.parametrize(("system", "machine"), [("darwin", "x86_64"), ("linux", "riscv64")])
def test_a_machine_without_numbers_has_no_filter(system: str, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("ctypes.CDLL", lambda *_: pytest.fail("called the kernel"))
    assert not filter_calls(processes=False)


@needs_filter
def test_child_changes_no_file_that_it_can_t_open(trying: Trying, plain_proof: Path, tmp_path: Path) -> None:
    """A private key was made readable for everyone so: mode, owner and times need no open file."""
    key = tmp_path / "key"
    key.write_text("secret")
    key.chmod(0o600)
    os.utime(key, (1000, 1000))
    name, inside = str(key), str(plain_proof / "claim.json")
    found = trying(
        *(f"os.chmod({name!r}, 0o644)", f"os.chmod({inside!r}, 0o666)", f"os.fchmod(os.open({inside!r}, 0), 0o666)"),
        *(f"os.chown({name!r}, 1, 1)", f"os.lchown({name!r}, 1, 1)", f"os.utime({name!r}, (0, 0))"),
        *(f"os.setxattr({name!r}, b'user.x', b'1')", f"os.removexattr({name!r}, b'user.x')"),
    )
    assert found.pop("unrestricted") == ""
    assert set(found.values()) == {"PermissionError"}, found
    assert (key.stat().st_mode & 0o777, key.stat().st_mtime) == (0o600, 1000)


@needs_filter
def test_child_reaches_no_other_process(trying: Trying) -> None:
    """The caller was killed so, by a limit on its processor time."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0)
    parent = "os.getppid()"
    own = "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))"
    found = trying(
        own,
        *(f"resource.prlimit({parent}, resource.RLIMIT_CPU)", f"resource.prlimit({parent}, 7, (64, 64))"),
        *(f"os.setpriority(os.PRIO_PROCESS, {parent}, 19)", f"os.sched_setaffinity({parent}, {{0}})"),
        f"os.sched_setscheduler({parent}, os.SCHED_IDLE, os.sched_param(0))",
        *(f"os.kill({parent}, 0)", f"open(f'/proc/{{{parent}}}/environ').read()", f"open(f'/proc/{{{parent}}}/mem')"),
        before="import resource\n",
    )
    assert (found.pop(own), found.pop("unrestricted")) == ("", "")
    assert set(found.values()) == {"PermissionError"}, found
    after = resource.getrlimit(resource.RLIMIT_NOFILE), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0)
    assert after == before


@needs_filter
def test_child_starts_no_process(trying: Trying) -> None:
    """Two forks outlived a verification so; threads it may start."""
    thread = "__import__('threading').Thread(target=len, args=('',)).start()"
    pair = "socket.socketpair()"
    found = trying("os.fork()", "os.posix_spawn('/bin/true', ['true'], {})", "os.setsid()", thread, pair)
    assert (found.pop(thread), found.pop(pair), found.pop("unrestricted")) == ("", "", "")
    assert set(found.values()) == {"PermissionError"}, found
