"""What the child may touch: nothing but what it needs, with the start of the real one."""

from __future__ import annotations

import os
import platform
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest
from confined_child import CALL, Trying, needs_filter, needs_landlock

from pol_jax.sandbox.system_calls import MACHINES

pytestmark = pytest.mark.started


@pytest.mark.interpreter
@needs_landlock
def test_child_has_no_network(trying: Trying, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "local"))
        local.listen()
        found = trying(
            f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))",
            f"socket.socket(socket.AF_UNIX).connect({str(tmp_path / 'local')!r})",
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'!', ('127.0.0.1', 9))",
            "socket.create_server(('127.0.0.1', 0))",
        )
    assert found.pop("unrestricted") == ""
    assert set(found.values()) == {"PermissionError"}, found


@pytest.mark.skipif(sys.platform != "linux", reason="no seccomp")
def test_what_a_kernel_does_not_restrict_is_told(trying: Trying, tmp_path: Path) -> None:
    """Without Landlock files are open, and the child says so; sockets are refused all the same."""
    (tmp_path / "secret").write_text("secret")
    read = f"open({str(tmp_path / 'secret')!r}).read()"
    without = "from pol_jax.sandbox import landlock\nlandlock._version = lambda: 0\n"
    found = trying(read, "socket.socket()", before=without)
    told = "file access not restricted here, signals not restricted here"
    assert found == {read: "", "socket.socket()": "PermissionError", "unrestricted": told}


@pytest.mark.interpreter
def test_threads_of_the_child_start_confined(trying: Trying) -> None:
    before = "import os\nassert len(os.listdir('/proc/self/task')) == 1\n" if sys.platform == "linux" else ""
    assert trying("[].clear()", before=before)["[].clear()"] == ""


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="no such thing on this system")
def test_child_is_the_first_to_go_when_memory_runs_out(trying: Trying) -> None:
    last = "assert open('/proc/self/oom_score_adj').read().strip() == '1000'"
    assert trying(last)[last] == ""


@needs_filter
def test_nothing_outlives_the_verification(trying: Trying, groups: list[int]) -> None:
    """Where processes are allowed, to replay in several, nobody leaves the group that is killed in the end."""
    orphan = (
        "first = os.fork()\n"
        "if not first:\n"
        "    try:\n        os.setsid()\n    except OSError:\n        pass\n"
        "    if not os.fork():\n        time.sleep(600)\n"
        "    os._exit(0)\n"
        "os.waitpid(first, 0)"
    )
    assert trying(orphan, before="import time\n", processes=True)[orphan] == ""
    deadline = time.monotonic() + 60  # a killed process that nobody waits for may be there for a moment
    while (left := living(groups[0])) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


ORDINARY = """
import ctypes, os, struct
kept = 1 << 2  # CAP_DAC_READ_SEARCH: Python may lie in root's home
libc = ctypes.CDLL(None)
libc.prctl(8, 1, 0, 0, 0)  # keep what is permitted
os.setgroups([])
os.setresgid(54321, 54321, 54321)
os.setresuid(54321, 54321, 54321)
libc.capset(struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", kept, kept, 0, 0, 0, 0))
assert os.getuid() == 54321
"""


@needs_filter
@needs_landlock
@pytest.mark.skipif(os.geteuid() != 0, reason="all tests are an ordinary user's")
def test_an_ordinary_user_s_child_is_confined_too(trying: Trying, plain_proof: Path, tmp_path: Path) -> None:
    """No restriction needs root: one attempt of each kind, by a process that belongs to somebody else."""
    (tmp_path / "own").write_text("secret")
    os.chown(tmp_path / "own", 54321, 54321)
    own, claim = str(tmp_path / "own"), str(plain_proof / "claim.json")
    calls = MACHINES[platform.machine()]
    read = f"open({claim!r}).read()"
    found = trying(
        read,
        *(f"open({own!r}).read()", f"open({own!r}, 'w')", f"os.chmod({own!r}, 0o644)", f"os.utime({own!r}, (0, 0))"),
        *(f"os.setxattr({own!r}, b'user.x', b'1')", "socket.socket()", "os.fork()", "os.setsid()"),
        *(f"call({calls.clone}, 0x10000000, 0, 0, 0, 0)", f"call({calls.refused['unshare']}, 0x10000000)"),
        *(f"call({calls.refused['keyctl']}, 0, 0)", f"call({calls.refused['shmget']}, 0, 4096, 0o1600)"),
        *("os.sched_setaffinity(os.getppid(), {0})", "os.kill(os.getppid(), 0)", "os.listdir('/dev/shm')"),
        before=ORDINARY + CALL,
    )
    assert (found.pop(read), found.pop("unrestricted")) == ("", "")
    assert set(found.values()) == {"PermissionError"}, found
    assert (tmp_path / "own").read_text() == "secret"


def living(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    processes = psutil.process_iter(["status"])
    found = [each.pid for each in processes if each.info["status"] != psutil.STATUS_ZOMBIE]
    return [pid for pid in found if group_of(pid) == group]


def group_of(process: int) -> int | None:
    """The group of a process; None if it has ended meanwhile."""
    try:
        return os.getpgid(process)
    except ProcessLookupError:
        return None
