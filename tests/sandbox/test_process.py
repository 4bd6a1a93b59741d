"""The caller's conversation with a hostile process: it is held no longer than it allows, and nothing is raised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import tiny

from pol_jax.errors import PolError
from pol_jax.progress import Silent
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox import starting
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.verify import verify

BEFORE = """
import os, sys, time, struct, msgspec
from multiprocessing.connection import Connection
pipe = Connection(int(handle))
pipe.recv_bytes()
def say(**message):
    pipe.send_bytes(msgspec.msgpack.encode(message))
"""

Talking = Callable[..., Report]


@pytest.fixture
def talking(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> Talking:
    """Verify with a child that runs ``code`` in place of its work."""

    def talk(code: str, **bounds: float) -> Report:
        code = BEFORE.replace("{proof}", str(plain_proof)) + code.replace("{proof}", str(plain_proof))
        start = starting._CODE.replace("from pol_jax.garbage", code + "\nraise SystemExit\nfrom pol_jax.garbage")
        monkeypatch.setattr(starting, "_CODE", start)
        given: dict[str, Any] = {"silence_seconds": 200, "total_seconds": 300} | bounds
        begun = monotonic()
        report = verify(plain_proof, tiny.plain().source, nonce=tiny.NONCE, bounds=Bounds(**given), progress=Silent())
        assert monotonic() - begun < 200  # it would be 600 s if the caller were held
        assert report.verdict is Verdict.INCONCLUSIVE
        return report

    return talk


LIMIT = "from pol_jax.sandbox.bounds import limit_memory; limit_memory(2**30);"

FORKED_HAS_MORE = pytest.mark.started
"""A process that was forked has more memory than this limit from the first."""

FIND = """
say(type="find_source", commitment=open("{proof}/commitment.json", "rb").read())
pipe.recv_bytes()
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.write(int(handle), struct.pack('!i', 1000) + b'x'); time.sleep(600)", "said nothing for 3 s"),
        ("os.write(int(handle), b'xx'); time.sleep(600)", "said nothing for 3 s"),
        ("os.write(int(handle), struct.pack('!i', -1)); time.sleep(600)", "ended without a report"),
        ("os.write(int(handle), struct.pack('!i', 2**31 - 1)); time.sleep(600)", "ended without a report"),
        ("while True: say(type='work_advanced', done=1, loss=None)", "took more than the 2 s"),
        (
            "pipe.send_bytes(b'\\x82\\xa4type\\xacread_records\\xa1x' + b'\\x91' * 2000000); time.sleep(600)",
            "without a report",
        ),
        ("say(type='finished', report=b'[' * 1000000)", "sent no report"),
        (FIND + "say(type='read_records', indices=[0] * 4000000)", "ended without a report"),
        (FIND + "say(type='read_records', indices=[0] * 1025)", "asked for more records than are read at once"),
        (FIND + "\nwhile True: say(type='read_records', indices=[0] * 4)", "doesn't read what it asked for"),
        pytest.param(
            LIMIT + "bytearray(2**31)",
            "needs more memory than it may take",
            marks=FORKED_HAS_MORE,
        ),
        pytest.param(
            LIMIT + "import numpy; numpy.ones(2**31)",
            "needs more memory than it may take",
            marks=FORKED_HAS_MORE,
        ),
        pytest.param(
            LIMIT + "os.write(2, b\"terminate called after throwing an instance of 'std::bad_alloc'\\n\"); os.abort()",
            "needs more",
            marks=FORKED_HAS_MORE,
        ),
    ],
    ids=[
        *("half a message", "half a header", "negative", "huge", "flood", "nested", "nested report", "many", "a few"),
        *("not read", "memory", "memory of numpy", "memory of a library"),
    ],
)
def test_caller_is_not_held(talking: Talking, code: str, reason: str) -> None:
    bounds = {"said nothing for 3 s": {"silence_seconds": 3}, "took more than the 2 s": {"total_seconds": 2}}
    tight = bounds.get(reason, {"total_seconds": 8} if reason == "doesn't read what it asked for" else {})
    assert reason in talking(code, **tight).reasons[0]


def test_progress_may_say_anything(talking: Talking) -> None:
    code = (
        "say(type='work_begun', what='\\x1b[2J[/bad]', total=-5, done=2**62)\n"
        "say(type='work_advanced', done=2**63, loss=None)\n"
        "say(type='work_begun', what='x' * 100000, total=0, done=1); say(type='work_ended'); say(type='work_ended')"
    )
    assert "without a report" in talking(code).reasons[0]


def test_text_of_an_error_is_escaped_and_short(talking: Talking) -> None:
    with pytest.raises(PolError) as raised:
        talking("say(type='error_raised', kind='printable', text='\\x1b[2Jaccepted\\n' + 'A' * 3000); time.sleep(9)")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 600
