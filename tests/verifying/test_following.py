"""A run is followed: what is false is told as it lands, and what this machine can't do rejects nobody."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tiny
from flipped_bit import CHOICES, train
from forge import Forger

import pol_jax
from pol_jax.exact import SelfTest
from pol_jax.program.machine import current_environment
from pol_jax.progress import Silent
from pol_jax.protocol.claim import EnvironmentFrom
from pol_jax.protocol.limits import Limits
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.checkpoints import load_checkpoint
from pol_jax.storage.inventory import list_files
from pol_jax.storage.ledger import segment_file
from pol_jax.verifying import landed_segments
from pol_jax.verifying.following import FollowEnded, FollowOptions, SegmentChecked, follow
from pol_jax.verifying.request import ProofRequest

SEGMENTS = tiny.STEPS // tiny.INTERVAL


def followed(root: Path, share: float = 1, **changes: Any) -> tuple[list[SegmentChecked], FollowEnded]:
    """Follow a run that does nothing any more."""
    told: list[SegmentChecked] = []
    options = FollowOptions(share=share, stall_seconds=0.05, poll_seconds=0.01)
    source = changes.pop("source", tiny.plain().source)
    ended = follow(ProofRequest(path=str(root), nonce=bytes(16), **changes), options, source, Silent(), told.append)
    return told, ended


def test_every_whole_segment_of_a_true_run_is_replayed(plain_proof: Path) -> None:
    told, ended = followed(plain_proof)
    assert told == [SegmentChecked(at, None, tiny.INTERVAL * (at + 1)) for at in range(SEGMENTS)]
    assert ended == FollowEnded("finished", tiny.STEPS, SEGMENTS, SEGMENTS)


def test_the_first_segment_is_replayed_whatever_the_share(plain_proof: Path) -> None:
    told, ended = followed(plain_proof, share=1e-12)
    assert [each.segment for each in told] == [0]
    assert (ended.landed, ended.checked) == (SEGMENTS, 1)


def test_chance_decides_between_segments(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can foresee which."""
    drawn = iter([0.6, 0.4, 0.6])
    monkeypatch.setattr("secrets.SystemRandom.random", lambda _self: next(drawn))
    told, _ = followed(plain_proof, share=0.5)
    assert [each.segment for each in told] == [0, 2]


def train_in_part(root: Path, stop: int, **options: Any) -> None:
    """Train with an intervention, and leave the run after some steps."""
    with pol_jax.Recording(tiny.plain(), root, steps=tiny.STEPS, choices=CHOICES, **options) as recording:
        state = recording.state
        for inputs in recording:
            if inputs.step == 10:
                state = recording.intervene(state, {"/params/b": np.ones(3, np.float32)}, "tests")
            state, _ = recording.step(state, inputs)
            if inputs.step == stop:
                break


@pytest.mark.filterwarnings("ignore:.*stays open")
def test_a_run_that_stalls_is_given_up_and_its_interventions_are_followed(tmp_path: Path) -> None:
    train_in_part(tmp_path / "run", 15, keep_every=2)
    told, ended = followed(tmp_path / "run")
    assert [each.problem for each in told] == [None, None]
    assert ended == FollowEnded("stalled", 12, 2, 2)


def test_a_flipped_bit_names_its_step(tmp_path: Path) -> None:
    train(tmp_path / "run", 8, None)
    told, _ = followed(tmp_path / "run")
    assert [each.segment for each in told if each.problem] == [1]
    assert told[1].problem == "the replay of step 9 differs from the ledger (state_digest)"


def test_other_bits_of_another_machine_are_not_called_false(forger: Forger) -> None:
    """A run may go on elsewhere, and this machine says nothing about what was made there."""
    elsewhere = msgspec.structs.replace(forger.claim.environment, cpu="another")
    forger.set_state(18, forger.perturbed(18))
    forger.write(environments=(*forger.claim.environments, EnvironmentFrom(12, elsewhere)))
    told, ended = followed(forger.root)
    assert [each.problem for each in told] == [None, None]
    assert ended.doubt is not None
    assert "the replay of step 18 differs from the ledger" in ended.doubt
    assert "another" in ended.doubt


@pytest.mark.parametrize("keeps", [True, False])
def test_exact_bits_are_called_false_by_who_keeps_the_rules(
    keeps: bool, forger: Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = SelfTest("exact/1", "a processor", 1, () if keeps else ("add",))
    monkeypatch.setattr(landed_segments, "self_test", lambda: tested)
    forger.commit_to(lambda plain: plain.update(arithmetic="exact/1"))  # other keys, so that every step differs
    forger.write()
    told, ended = followed(forger.root)
    assert [bool(each.problem) for each in told] == [True] * SEGMENTS * keeps
    assert ("other bits for add" in (ended.doubt or "")) is not keeps


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (segment_file(1), "is damaged"),
        (f"{checkpoint_name(6)}/state/manifest.ocdbt", "is damaged"),
        ("records", "records"),
        ("program/step.jax_export", "is not the committed program"),
    ],
)
def test_a_damaged_file_is_told(name: str, words: str, proof_copy: Path) -> None:
    content = bytearray((proof_copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (proof_copy / name).write_bytes(content)
    told, ended = followed(proof_copy)
    assert words in (next(each.problem for each in told if each.problem) or "")
    assert ended.reason == "finished"


def test_a_checkpoint_of_another_state_is_told(proof_copy: Path) -> None:
    shutil.rmtree(proof_copy / checkpoint_name(6))
    shutil.copytree(proof_copy / checkpoint_name(12), proof_copy / checkpoint_name(6))
    told, _ = followed(proof_copy)
    assert [each.segment for each in told if each.problem] == [1]
    assert "its state is not the one in row 6 of the ledger" in (told[1].problem or "")


def test_a_link_in_a_checkpoint_is_not_followed(proof_copy: Path, tmp_path: Path) -> None:
    manifest = proof_copy / checkpoint_name(6) / "state" / "manifest.ocdbt"
    manifest.rename(tmp_path / "elsewhere")
    manifest.symlink_to(tmp_path / "elsewhere")
    told, _ = followed(proof_copy)
    assert "is no plain file" in (told[1].problem or "")


def test_another_backend_or_other_records_are_no_false_run(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, ended = followed(plain_proof, source=pol_jax.Arrays(tiny.points(seed=2)))
    assert told == []
    assert "record" in (ended.doubt or "")
    elsewhere = msgspec.structs.replace(current_environment(), cpu="another")
    monkeypatch.setattr("pol_jax.verifying.landed_segments.current_environment", lambda: elsewhere)
    told, ended = followed(plain_proof)
    assert told == []
    assert (ended.landed, ended.checked) == (SEGMENTS, 0)
    assert "this backend is not that of the run (cpu: " in (ended.doubt or "")


def test_a_machine_that_gives_another_result_each_time_rejects_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path / "run", 8, None)
    execute, seen = landed_segments.LandedSegments._execute, list[int]()

    def unsteady(self: Any, span: Any, *rest: Any) -> Any:
        seen.append(span.start)
        result = execute(self, span, *rest)
        return result if len(seen) != 3 else execute(self, type(span)(0, 6), *rest)

    monkeypatch.setattr(landed_segments.LandedSegments, "_execute", unsteady)
    told, ended = followed(tmp_path / "run")
    assert [each.problem for each in told] == [None]
    assert "gives yet another result when it is replayed again" in (ended.doubt or "")


def test_a_directory_with_another_run_is_told(plain_proof: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(plain_proof, tmp_path / "run"))
    (run / "inventory.json").unlink()

    def replace_run(commitment: object) -> pol_jax.Source:
        document = (run / "commitment.json").read_bytes()
        (run / "commitment.json").write_bytes(document.replace(b'"tiny plain"', b'"tiny other"'))
        return tiny.plain().source

    _, ended = followed(run, source=replace_run)
    assert ended.reason == "replaced"


def test_a_checkpoint_that_the_run_removes_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps every second one, and removes the other while it is read."""
    train(tmp_path / "run", None, None)
    gone = tmp_path / "run" / checkpoint_name(6)

    def removing(root: Path, step: int, spec: Any) -> Any:
        if step == 6 and gone.exists():
            shutil.rmtree(gone)
        return load_checkpoint(root, step, spec)

    monkeypatch.setattr("pol_jax.verifying.landed_segments.load_checkpoint", removing)
    told, _ = followed(tmp_path / "run")
    assert [each.problem for each in told] == [None] * SEGMENTS


def test_a_run_that_ends_while_it_is_looked_at_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its document and a checkpoint are there when they are looked for, and gone when they are read."""
    train(tmp_path / "run", None, None)
    gone = tmp_path / "run" / checkpoint_name(6)

    def vanishing(root: Path, limits: Limits, below: str) -> dict[str, int]:
        if below == checkpoint_name(6) and gone.exists():
            shutil.rmtree(gone)
            raise FileNotFoundError(2, "No such file or directory", str(gone))
        return list_files(root, limits, below)

    monkeypatch.setattr("pol_jax.verifying.landed_segments.list_files", vanishing)
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path.name == "run.json" or exists(path))
    told, _ = followed(tmp_path / "run")
    assert [each.problem for each in told] == [None] * SEGMENTS


def test_the_verifier_s_limits_hold_while_a_run_is_followed(plain_proof: Path) -> None:
    told, ended = followed(plain_proof, limits=Limits(state_bytes=10))
    assert "more than the limit of 10 bytes" in (told[0].problem or "")
    assert ended.checked == 0
