"""A run in another process is followed by a confined one; what that says is believed no more than it can be so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tiny
from places import TESTS

from pol_jax.errors import UsageError
from pol_jax.progress import Silent
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.follow import FollowCaller, await_commitment, follow_apart
from pol_jax.sandbox.memory import memory_of_proof, memory_of_run
from pol_jax.sandbox.messages import Finished
from pol_jax.sandbox.process import ProcessLost
from pol_jax.sandbox.starting import python_process
from pol_jax.verifying.following import FollowEnded, FollowOptions, SegmentChecked
from pol_jax.verifying.request import ProofRequest

FLIPPED = 8

TRAIN = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
del sys.argv[1:3]  # what is given to each process
import flipped_bit
flipped_bit.main()
"""


def test_a_bit_that_flips_in_another_process_is_told_while_it_trains(tmp_path: Path) -> None:
    """In the true sandbox. The training waits until it was told, and only then goes on to its end."""
    found, run = tmp_path / "found", tmp_path / "run"
    told: list[SegmentChecked] = []

    def tell(checked: SegmentChecked) -> None:
        told.append(checked)
        if checked.problem:
            assert not (run / "inventory.json").exists()
            found.touch()

    with python_process(TRAIN, [str(run), str(FLIPPED), str(found)], {}) as training:
        following = FollowOptions(share=1, stall_seconds=300, poll_seconds=0.05)
        request = ProofRequest(path=str(run), nonce=bytes(16))
        ended = follow_apart(request, following, tiny.plain().source, tell, progress=Silent(), bounds=Bounds())
        assert training.popen.wait(60) == 0, training.describe_end()
    assert ended.reason == "finished"
    assert [each.segment for each in told if each.problem] == [FLIPPED // tiny.INTERVAL]
    assert f"the replay of step {FLIPPED + 1} differs" in (told[1].problem or "")


def test_memory_is_bounded_by_the_commitment(plain_proof: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(plain_proof, tmp_path / "run"))
    (run / "claim.json").unlink()
    request = ProofRequest(path=str(run), nonce=bytes(16))
    known, of_proof = (memory(request, Bounds()).reading for memory in (memory_of_run, memory_of_proof))
    assert known is not None
    assert of_proof is not None
    assert known > of_proof, "without a claim, a proof's documents explain nothing"
    (run / "commitment.json").unlink()
    assert memory_of_run(request, Bounds()).reading == of_proof
    assert memory_of_run(request, Bounds(memory_bytes=2**30)).executing == 2**30


def caller() -> FollowCaller:
    return FollowCaller(ProofRequest(path="run", nonce=bytes(16)), tiny.plain().source, Silent(), lambda _told: None)


@pytest.mark.parametrize(
    "message",
    [
        SegmentChecked(-1, None, 0),
        SegmentChecked(0, None, -1),
        FollowEnded("finished", 6, 1, 2),
        FollowEnded("finished", -6, 1, 1),
        Finished(b"{}"),
    ],
    ids=repr,
)
def test_what_no_child_of_ours_says_ends_it(message: SegmentChecked | FollowEnded | Finished) -> None:
    with pytest.raises(ProcessLost):
        caller().answer(message)


def test_a_segment_is_told_once() -> None:
    """A child that was taken over can't fill the memory with false segments."""
    hearing = caller()
    hearing.answer(SegmentChecked(3, "false", 6))
    with pytest.raises(ProcessLost):
        hearing.answer(SegmentChecked(3, "false", 6))


def test_words_of_the_child_are_printed_as_one_line() -> None:
    told: list[SegmentChecked] = []
    hearing = FollowCaller(ProofRequest(path="run", nonce=bytes(16)), tiny.plain().source, Silent(), told.append)
    hearing.answer(SegmentChecked(0, "a\nb\x1b[2J" + "x" * 10_000, 6))
    assert "\n" not in (told[0].problem or "")
    assert "\x1b" not in (told[0].problem or "")
    assert len(told[0].problem or "") <= 520


def test_a_directory_where_nothing_begins_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run has begun here"):
        await_commitment(tmp_path / "nothing", FollowOptions(stall_seconds=0.02, poll_seconds=0.01))
