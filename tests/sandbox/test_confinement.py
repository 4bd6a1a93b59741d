"""What the child may touch: nothing but what it needs, with the start of the real one."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner

from pol_jax.cli.main import pol
from pol_jax.reports.report import Verdict
from pol_jax.sandbox import landlock, process
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.verify import verify

NONCE = b"confined"


needs_landlock = pytest.mark.skipif(landlock._version() < 3, reason="this kernel has no Landlock of version 3")


Trying = Callable[..., dict[str, str]]


@pytest.fixture
def trying(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> Trying:
    """Start a child as a verification does; in place of its work it tries what it is told to: errors by attempt."""

    def attempt(*attempts: str, before: str = "") -> dict[str, str]:
        code = (
            f"import json, os, signal, socket, tempfile\nfound = {{}}\nfor each in {attempts!r}:\n"
            "    try:\n        exec(each)\n        found[each] = ''\n"
            "    except OSError as error:\n        found[each] = type(error).__name__\n"
            "print(json.dumps([found, unrestricted]))\nraise SystemExit\n"
        )
        start = before + process._CODE.replace("from pol_jax.sandbox.child", code + "from pol_jax.sandbox.child")
        monkeypatch.setattr(process, "_CODE", start)
        with process.started([str(plain_proof)], confined=True) as child:
            child.process.wait(60)
            child.noise.seek(0)
            found, unrestricted = json.loads(child.noise.read().decode().splitlines()[-1])
        return {**found, "unrestricted": ", ".join(unrestricted)}

    return attempt


@needs_landlock
def test_child_reads_no_file_outside(trying: Trying, plain_proof: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(plain_proof)
    mine, linked = f"open({str(plain_proof / 'claim.json')!r}).read()", f"os.listdir({str(tmp_path / 'link')!r})"
    found = trying(
        f"open({str(tmp_path / 'secret')!r}).read()",
        f"os.listdir({str(tmp_path)!r})",
        f"os.listdir({str(Path.home())!r})",
        f"open({str(plain_proof)!r} + '/../' * 20 + {str(tmp_path / 'secret')!r}).read()",
        "open('/etc/hosts').read()",
        "open(f'/proc/{os.getppid()}/environ').read()",
        "os.kill(os.getppid(), 0)",
        mine,
        linked,
    )
    assert (found.pop(mine), found.pop(linked), found.pop("unrestricted")) == ("", "", "")
    assert set(found.values()) == {"PermissionError"}, found


@needs_landlock
def test_child_writes_nothing_outside(trying: Trying, plain_proof: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("as it was")
    there, claim = str(tmp_path / "there"), str(plain_proof / "claim.json")
    mine = "tempfile.NamedTemporaryFile().write(b'scratch')"
    found = trying(
        *(f"open({str(tmp_path / 'new')!r}, 'w')", f"open({there!r}, 'a')", f"os.truncate({there!r}, 0)"),
        *(f"os.remove({there!r})", f"os.rename({there!r}, {there + '.moved'!r})", f"os.mkdir({there + '.folder'!r})"),
        *(f"open({claim!r}, 'a')", f"os.symlink('/', {str(plain_proof / 'link')!r})", "open('/tmp/new', 'w')"),
        mine,
    )
    assert (found.pop(mine), found.pop("unrestricted")) == ("", "")
    assert set(found.values()) == {"PermissionError"}, found
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("there", "as it was")]


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
    without = "from pol_jax.sandbox import confinement\nconfinement.forbid_sockets = lambda: False\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        assert trying(connect, before=without) == {connect: "PermissionError", "unrestricted": ""}


@pytest.mark.skipif(sys.platform != "linux", reason="no seccomp")
def test_what_a_kernel_does_not_restrict_is_told(trying: Trying, tmp_path: Path) -> None:
    """Without Landlock files are open, and the child says so; sockets are refused all the same."""
    (tmp_path / "secret").write_text("secret")
    read = f"open({str(tmp_path / 'secret')!r}).read()"
    without = "from pol_jax.sandbox import landlock\nlandlock._version = lambda: 0\n"
    found = trying(read, "socket.socket()", before=without)
    assert found == {read: "", "socket.socket()": "PermissionError", "unrestricted": "file access not restricted here"}


@needs_landlock
def test_older_kernel_restricts_what_it_knows(trying: Trying, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    read = f"open({str(tmp_path / 'secret')!r}).read()"
    without = "from pol_jax.sandbox import landlock\nlandlock._version = lambda: 1\n"
    told = {"unrestricted": "cutting files not restricted here"}
    assert trying(read, before=without) == {read: "PermissionError"} | told


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
