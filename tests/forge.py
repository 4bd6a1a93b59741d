"""A forger: takes a proof apart, lets a test change it, and puts it together again with the prover's own code.

Everything that a change touches is hashed again (rows, ledger root, final state, claim, inventory), so that only the
check that a test is about can refuse the result.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import UserDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import msgspec
import numpy as np

from pol_jax.program.artifact import STEP_FILE
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol import inventory, merkle
from pol_jax.protocol.claim import Claim, EnvironmentFrom
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import DIGEST_BYTES, FORMAT, FORMAT_1, Format, artifact_digest, batch_digest
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Segments
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.checkpoints import save_checkpoint
from pol_jax.storage.inventory import take_inventory
from pol_jax.storage.ledger import DIRECTORY, seal
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.follower import Follower
from pol_jax.training.inputs import step_inputs
from pol_jax.training.loop import run
from pol_jax.training.states import HostState, Layout
from pol_jax.training.task import Source
from pol_jax.training.witness import Witness
from pol_jax.verifying.compilations import Variant, compile_step


class _States(UserDict[int, Any]):
    """The states of the checkpoints, by step. A checkpoint is read when somebody asks for it."""

    def __init__(self, proof: Proof) -> None:
        super().__init__(dict.fromkeys(proof.checkpoints()))
        self._proof, self._stored = proof, dict[int, list[bytes]]()

    def __getitem__(self, step: int) -> list[np.ndarray]:
        leaves: list[np.ndarray] | None = self.data[step]
        if leaves is None:
            self.data[step] = leaves = [np.asarray(leaf) for leaf in self._proof.leaves(step)]
            self._stored[step] = _content(leaves)
        return leaves

    def changed(self) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Yield the states that are not those that were read or written last, which then are."""
        for step, leaves in self.data.items():
            if leaves is not None and (content := _content(leaves)) != self._stored.get(step):
                self._stored[step] = content
                yield step, leaves


def _content(leaves: Iterable[np.ndarray]) -> list[bytes]:
    arrays = [np.asarray(leaf) for leaf in leaves]
    return [f"{array.dtype} {array.shape} ".encode() + array.tobytes() for array in arrays]


class Forger:
    """A proof in pieces.

    Attributes:
        root: the proof's directory; changed by `write`.
        commitment: of the proof.
        claim: of the proof.
        rows: of the ledger, by step.
        states: of the checkpoints, by step.
    """

    def __init__(self, root: Path) -> None:
        """Take the proof in ``root`` apart."""
        self.root, self._proof = root, open_proof(root)
        assert self._proof.claim is not None
        self.commitment, self.claim = self._proof.commitment, self._proof.claim
        self.layout = Layout(self.commitment.state)
        self.rows: list[Row] = list(self._proof.rows())
        self.states = _States(self._proof)

    def change(self, step: int, /, **fields: Any) -> None:
        """Change fields of a row; ``loss`` stands for the bytes of one of its metrics."""
        row = self.rows[step]
        if "loss" in fields:
            at = 4 * row.layout.metrics.index(row.layout.loss)
            fields["metrics"] = row.metrics[:at] + fields.pop("loss") + row.metrics[at + 4 :]
        self.rows[step] = dataclasses.replace(row, **fields)

    def set_state(self, step: int, leaves: Iterable[np.ndarray]) -> None:
        """Change the state after a step: its checkpoint and the digest in its row."""
        self.states[step] = list(leaves)
        self.change(step, state=self.layout.gather(self.states[step]).digest())

    def perturbed(self, step: int) -> list[np.ndarray]:
        """The state of a checkpoint with one weight changed a little: float32, not a zero-size leaf."""
        leaves = [leaf.copy() for leaf in self.states[step]]
        leaf = next(leaf for leaf in leaves if leaf.dtype == np.float32 and leaf.size)
        leaf.reshape(-1)[0] += np.float32(1e-3)
        return leaves

    def batch_of(self, indices: np.ndarray) -> bytes:
        """The digest of a batch of these committed records."""
        records = (self.root / "records").read_bytes()
        return batch_digest(records[DIGEST_BYTES * at : DIGEST_BYTES * (at + 1)] for at in indices.tolist())

    def train_on(
        self, source: Source, start: int, stop: int, leaves: Iterable[np.ndarray], variant: Variant | None = None
    ) -> None:
        """Replace the steps after ``start`` to ``stop`` by true steps from another state, or of another compilation."""
        self.set_state(start, leaves)
        program, schedule = self._proof.program(), self.commitment.schedule
        if variant:
            program = dataclasses.replace(program, step=compile_step(program, variant).step)
        witness = Witness(
            self.layout,
            CommittedRecords(self._proof.records()),
            lambda step: schedule.has_witness(step, self.claim.steps),
            self.commitment.row_layout,
            lambda step: step in self.states,
        )

        def observe(row: Row, state: HostState | None) -> None:
            self.rows[row.step] = row
            if state is not None and row.step in self.states:
                self.states[row.step] = [leaf.copy() for leaf in state.leaves]

        with Follower(program, witness, observe) as follower:
            inputs = step_inputs(self.commitment, source, start + 1, stop + 1)
            run(program, tuple(jnp.array(leaf) for leaf in self.states[start]), inputs, follower)

    def write(self, **claimed: Any) -> None:
        """Write everything back, hashed again; ``claimed`` overrides fields of the claim.

        Checkpoints that nobody changed stay: Orbax takes longer to write one than all else takes.
        """
        shutil.rmtree(self.root / DIRECTORY)
        segments = Segments(len(self.rows) - 1, self.commitment.schedule.interval)
        for segment in range(len(segments)):
            seal(self.root, segment, [self.rows[step] for step in segments.rows(segment)])
        for step, leaves in self.states.changed():
            shutil.rmtree(self.root / checkpoint_name(step), ignore_errors=True)
            save_checkpoint(self.root, step, self.layout.spec, leaves)
        self.write_documents(
            **{
                "ledger_root": merkle.root([row.digest() for row in self.rows]).hex(),
                "steps": len(self.rows) - 1,
                "final_state": (self.rows[-1].state or bytes(32)).hex(),
            }
            | claimed
        )

    def write_documents(self, **claimed: Any) -> None:
        """Write commitment, claim and inventory; ``claimed`` overrides fields of the claim."""
        if "environment" in claimed:
            claimed["environments"] = (EnvironmentFrom(0, claimed.pop("environment")),)
        fields = {"commitment": self.commitment.digest().hex()} | claimed
        (self.root / commitments.FILE).write_bytes(self.commitment.encode())
        (self.root / claims.FILE).write_bytes(msgspec.structs.replace(self.claim, **fields).encode())
        take_stock(self.root)

    def commit_to(self, change: Callable[[Any], None]) -> None:
        """Change the commitment, as plain JSON; the claim follows when it is written."""
        plain = msgspec.to_builtins(self.commitment)
        plain = json.loads(json.dumps(plain))
        change(plain)
        self.commitment = Commitment.parse(encode(plain))

    def commit_to_step_program(self, artifact: bytes) -> None:
        """Put another step program in, and commit to it."""
        (self.root / STEP_FILE).write_bytes(artifact)
        digest = artifact_digest("step program", artifact).hex()
        self.commit_to(lambda plain: plain["program"].update(step=digest))


def take_stock(root: Path) -> None:
    """Make the inventory of what is there, where that is possible at all."""
    claimed = (root / claims.FILE).read_bytes() if (root / claims.FILE).is_file() else b""
    version: Format = FORMAT_1 if b'"format":"pol-jax/1"' in claimed else FORMAT
    (root / inventory.FILE).write_bytes(take_inventory(root, Limits(), version))


def edit_document(root: Path, name: str, change: Callable[[Any], None]) -> None:
    """Change a document as plain JSON, written canonically; the inventory follows."""
    plain = json.loads((root / name).read_bytes())
    change(plain)
    (root / name).write_bytes(encode(plain))
    if name != inventory.FILE:
        take_stock(root)


def claim_of(root: Path) -> Claim:
    """The claim that is there."""
    return Claim.parse((root / claims.FILE).read_bytes())


def refused(report: Report, stage: int, *words: str) -> None:
    """The proof was rejected in this stage and in no other, for a reason with these words, in a report to write."""
    outcomes = [each.outcome for each in report.stages]
    assert [each.number for each in report.stages] == [*range(1, len(Stage) + 1)], report
    assert report.verdict is Verdict.REJECTED, report.reasons
    assert [at for at, outcome in enumerate(outcomes, 1) if outcome is Outcome.FAILED] == [stage], report.reasons
    if stage <= 6:
        rest = [Outcome.NOT_REACHED] * (len(Stage) - stage)
        assert outcomes == [Outcome.PASSED] * (stage - 1) + [Outcome.FAILED] + rest
    beginning = f"{Stage(stage)}: "
    reasons = [reason for reason in report.reasons if reason.startswith(beginning)]
    assert any(all(word in reason for word in words) for reason in reasons), (words, report.reasons)
    assert all(reason.isprintable() for reason in report.reasons), report.reasons
    assert report.to_json().decode()


def undecided(report: Report, *words: str) -> None:
    """Stages 1 to 6 passed, and the replay could not judge, for a reason with these words."""
    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
    assert [each.outcome for each in report.stages[:6]] == [Outcome.PASSED] * 6
    assert report.stages[8].outcome is Outcome.INCONCLUSIVE
    assert any(all(word in reason for word in words) for reason in report.reasons), (words, report.reasons)
