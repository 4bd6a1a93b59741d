"""`pol verify --follow`: a line for what is false, at once; then the report of an ordinary verification."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import pol
from flipped_bit import train

from pol_jax.verifying.following import FollowEnded, SegmentChecked

pytestmark = pytest.mark.usefixtures("in_process")
VERIFY = ("--task", "tiny:plain", "--nonce", "00ff" * 8)


def test_a_finished_run_is_followed_and_verified(plain_proof: Path, tmp_path: Path) -> None:
    followed = pol("verify", plain_proof, *VERIFY, "--follow", "--share", "1", "--json", tmp_path / "followed")
    assert followed.exit_code == 0, followed.output
    assert "the run is finished: 4 of 4 segments were replayed while it went on, up to step 24" in followed.stderr
    assert pol("verify", plain_proof, *VERIFY, "--json", tmp_path / "plain").exit_code == 0
    assert (tmp_path / "followed").read_bytes() == (tmp_path / "plain").read_bytes()


def test_a_segment_that_was_false_is_in_the_report_whatever_is_drawn(tmp_path: Path) -> None:
    train(tmp_path / "run", 8, None)
    drawn = ("--segments", "3")
    assert pol("verify", tmp_path / "run", *VERIFY, *drawn).exit_code == 0, "the draw does not meet it"
    followed = pol("verify", tmp_path / "run", *VERIFY, *drawn, "--follow", "--share", "1")
    assert followed.exit_code == 1
    assert "false: segment 1: the replay of step 9 differs from the ledger" in followed.stderr
    assert "the replay of step 9 differs" in followed.stdout


def test_a_false_segment_behind_the_end_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that may stop early can seal a false segment, and remove it again when it ends before it."""
    train(tmp_path / "run", 8, None)
    drawn = ("--segments", "3")

    def ended(request: object, following: object, source: object, tell: object, **_how: object) -> FollowEnded:
        for segment in (1, 4):
            tell(SegmentChecked(segment, "it differs", 6 * segment + 6))  # type: ignore[operator]
        return FollowEnded("finished", 30, 5, 5)

    monkeypatch.setattr("pol_jax.cli.follow.follow_apart", ended)
    followed = pol("verify", tmp_path / "run", *VERIFY, *drawn, "--follow")
    assert followed.exit_code == 1
    assert "the replay of step 9 differs" in followed.stdout


@pytest.mark.parametrize(("problem", "code"), [(None, 3), ("the replay of step 9 differs", 1)])
def test_a_run_that_stalls_is_not_accepted(
    problem: str | None, code: int, plain_proof: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stalled(request: object, following: object, source: object, tell: object, **_how: object) -> FollowEnded:
        tell(SegmentChecked(1, problem, 12))  # type: ignore[operator]
        return FollowEnded("stalled", 12, 2, 1)

    monkeypatch.setattr("pol_jax.cli.follow.follow_apart", stalled)
    ended = pol("verify", plain_proof, *VERIFY, "--follow", "--stall", "60", "--json", tmp_path / "report")
    assert ended.exit_code == code
    report = json.loads((tmp_path / "report").read_text())
    assert "nothing new came for 60 s: 1 of 2 segments were replayed" in report["reasons"][-1]
    assert ("step 9" in report["reasons"][0]) == (problem is not None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--share", "0.5"), "give --follow too"),
        (("--stall", "5"), "give --follow too"),
        (("--follow", "--ray", "auto"), "--shard and --ray share the work on a finished proof"),
        (("--follow", "--share", "0"), "--share"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(options: tuple[str, ...], words: str, plain_proof: Path) -> None:
    refused = pol("verify", plain_proof, *VERIFY, *options)
    assert refused.exit_code == 2
    assert words in refused.stderr
