"""What the child may touch: nothing but what it needs, with the start of the real one."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import tiny
from click.testing import CliRunner

from pol_jax.cli.main import pol
from pol_jax.reports.outcomes import Verdict
from pol_jax.sandbox import landlock, starting
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.system_calls import MACHINES
from pol_jax.sandbox.verify import verify

NONCE = b"a nonce of these tests"


needs_landlock = pytest.mark.skipif(landlock._version() < 3, reason="this kernel has no Landlock of version 3")


Trying = Callable[..., dict[str, str]]

CALL = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    words = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    if libc.syscall(ctypes.c_long(number), *words) < 0:
        raise OSError(ctypes.get_errno(), 'refused')
"""
"""Makes system calls that Python has no name for."""


@pytest.fixture
def groups() -> list[int]:
    """The process groups of the children that were started, in order."""
    return []


@pytest.fixture
def trying(plain_proof: Path, monkeypatch: pytest.MonkeyPatch, groups: list[int]) -> Trying:
    """Start a child as a verification does; in place of its work it tries what it is told to: errors by attempt."""

    def attempt(*attempts: str, before: str = "", processes: bool = False, loopback: bool = False) -> dict[str, str]:
        code = (
            f"import json, os, signal, socket, tempfile\nfound = {{}}\nfor each in {attempts!r}:\n"
            "    try:\n        exec(each)\n        found[each] = ''\n"
            "    except OSError as error:\n        found[each] = type(error).__name__\n"
            "print(json.dumps([found, unrestricted]))\nraise SystemExit\n"
        )
        start = before + starting._CODE.replace("from pol_jax.garbage", code + "from pol_jax.garbage")
        monkeypatch.setattr(starting, "_CODE", start)
        with starting.child_process([str(plain_proof)], True, processes=processes, loopback=loopback) as child:
            child.popen.wait(300)
            child.output.seek(0)
            found, unrestricted = json.loads(child.output.read().decode().splitlines()[-1])
            groups.append(child.popen.pid)
        return {**found, "unrestricted": ", ".join(unrestricted)}

    return attempt


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


@pytest.mark.skipif(sys.platform != "linux", reason="no seccomp")
def test_what_a_kernel_does_not_restrict_is_told(trying: Trying, tmp_path: Path) -> None:
    """Without Landlock files are open, and the child says so; sockets are refused all the same."""
    (tmp_path / "secret").write_text("secret")
    read = f"open({str(tmp_path / 'secret')!r}).read()"
    without = "from pol_jax.sandbox import landlock\nlandlock._version = lambda: 0\n"
    found = trying(read, "socket.socket()", before=without)
    told = "file access not restricted here, signals not restricted here"
    assert found == {read: "", "socket.socket()": "PermissionError", "unrestricted": told}


@pytest.mark.skipif(sys.platform != "linux", reason="no capabilities")
@pytest.mark.parametrize("call", ["capget", "capset"])
def test_rights_that_a_kernel_keeps_are_told(trying: Trying, call: str) -> None:
    """A filter of a container may refuse these calls."""
    refusing = (
        "import ctypes\nfrom pol_jax.sandbox import capabilities\nclass Refusing(ctypes.CDLL):\n"
        f"    def {call}(self, *_): return -1\n"
        "class Named: CDLL = Refusing; create_string_buffer = ctypes.create_string_buffer\n"
        "capabilities.ctypes = Named\n"
    )
    assert "rights of root not restricted here" in trying("os.getpid()", before=refusing)["unrestricted"]


@needs_landlock
def test_older_kernel_restricts_what_it_knows(trying: Trying, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    read = f"open({str(tmp_path / 'secret')!r}).read()"
    without = "from pol_jax.sandbox import landlock\nlandlock._version = lambda: 1\n"
    told = {"unrestricted": "cutting files not restricted here, signals not restricted here"}
    assert trying(read, before=without) == {read: "PermissionError"} | told


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


@pytest.mark.interpreter
def test_threads_of_the_child_start_confined(trying: Trying) -> None:
    before = "import os\nassert len(os.listdir('/proc/self/task')) == 1\n" if sys.platform == "linux" else ""
    assert trying("[].clear()", before=before)["[].clear()"] == ""


def test_report_tells_what_was_not_restricted(plain_proof: Path) -> None:
    report = verify(plain_proof, tiny.plain().source, nonce=NONCE, bounds=Bounds(confined=False))
    assert report.verdict is Verdict.ACCEPTED
    assert report.stages[0].detail.endswith(" bytes; file access and network not restricted")


def test_command_line_leaves_the_child_unconfined_where_asked(plain_proof: Path) -> None:
    arguments = ["verify", str(plain_proof), "--task", "tiny:plain", "--segments", "0", "--unconfined"]
    found = CliRunner().invoke(pol, arguments)
    assert found.exit_code == 0
    assert "file access and network not restricted" in found.stdout


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="no such thing on this system")
def test_child_is_the_first_to_go_when_memory_runs_out(trying: Trying) -> None:
    last = "assert open('/proc/self/oom_score_adj').read().strip() == '1000'"
    assert trying(last)[last] == ""


needs_filter = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in MACHINES, reason="no filter on system calls for this machine"
)


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
def test_every_call_on_the_list_is_refused(trying: Trying) -> None:
    """Also namespaces of a user, keys, and memory segments that are named by numbers."""
    calls = MACHINES[platform.machine()]
    namespaces = [f"call({calls.clone}, {flag}, 0, 0, 0, 0)" for flag in (0x10000000, 0x00020000, 0x40000000)]
    found = trying(
        *(f"call({number}, 0, 0, 0, 0, 0, 0)" for number in calls.refused.values()), *namespaces, before=CALL
    )
    assert found.pop("unrestricted") == ""
    assert set(found.values()) == {"PermissionError"}, found


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_numbers_are_the_kernel_s(machine: str) -> None:
    headers = {
        "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        "aarch64": Path("/usr/include/asm-generic/unistd.h"),
    }
    if not headers[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    numbers = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", headers[machine].read_text()))
    calls = MACHINES[machine]
    ours = {**calls.refused, **calls.own_alone, **calls.new_processes, "clone": calls.clone, "clone3": calls.clone3}
    assert {name: number for name, number in ours.items() if int(numbers.get(name, number)) != number} == {}


@needs_filter
def test_child_starts_no_process(trying: Trying) -> None:
    """Two forks outlived a verification so; threads it may start."""
    thread = "__import__('threading').Thread(target=len, args=('',)).start()"
    pair = "socket.socketpair()"
    found = trying("os.fork()", "os.posix_spawn('/bin/true', ['true'], {})", "os.setsid()", thread, pair)
    assert (found.pop(thread), found.pop(pair), found.pop("unrestricted")) == ("", "", "")
    assert set(found.values()) == {"PermissionError"}, found


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


@needs_landlock
def test_child_sees_no_shared_memory_of_others(trying: Trying) -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as other:
        name = other.name
        found = trying(f"open({name!r}, 'rb')", f"open({name!r}, 'ab')", "os.listdir('/dev/shm')")
    assert found.pop("unrestricted") == ""
    assert set(found.values()) == {"PermissionError"}, found


def test_child_sees_no_token(trying: Trying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    hidden = "if 'GITHUB_TOKEN' in os.environ: raise OSError('seen')"
    seen = "if os.environ.get('NCCL_DEBUG') != 'INFO': raise OSError('not seen')"
    found = trying(hidden, seen)
    assert (found[hidden], found[seen]) == ("", "")
