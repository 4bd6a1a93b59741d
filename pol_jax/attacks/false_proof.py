"""A forger writes a proof as an honest prover does, by the same recorder, but of a run of their own choice.

They commit like anyone, so that keys and order follow from their commitment. What they leave out is the check of what
they have written, which `pol_jax.proving.finishing` makes: a false proof would not pass it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from pol_jax.attacks.transcript import Transcript
from pol_jax.files import write_whole
from pol_jax.program.artifact import Program, executing
from pol_jax.progress import Silent
from pol_jax.protocol import claim as claims
from pol_jax.protocol import inventory, merkle
from pol_jax.protocol.claim import Claim, EnvironmentFrom
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.encoding import batch_digest
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import witnessed_spans
from pol_jax.protocol.trees import HostLeaves
from pol_jax.proving.aim import Aim, own_environment
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import write_commitment
from pol_jax.proving.fine_tuning import taken_leaves
from pol_jax.proving.opener import opened_rows, opening_of
from pol_jax.proving.recorder import Recorder
from pol_jax.proving.resumption import Resumption
from pol_jax.storage.inventory import take_inventory
from pol_jax.storage.proof import open_proof
from pol_jax.training.initial_state import first_key
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.records import digest_batch
from pol_jax.training.states import Layout
from pol_jax.training.task import Source, Task

_NOTHING_YET: Final = Resumption(-1, None, None, [], -1, [], [], [])
"""A forger writes a run in one go: the recorder finds no earlier row, checkpoint or move to continue from."""


@dataclass(frozen=True)
class FalseProof:
    """A false proof is one that a forger has committed to, and not written yet.

    Attributes:
        root: its directory.
        task: what the forger says is trained.
        commitment: what decides keys and order, for the forger too.
        program: what a verifier would run.
        choices: what the forger chose when they committed.
    """

    root: Path
    task: Task
    commitment: Commitment
    program: Program
    choices: Choices

    @classmethod
    def begin(cls, root: Path, task: Task, interval: int, seed: str, **choices: Any) -> FalseProof:
        """Commit to a task, in a new directory; ``choices`` are those of `Choices`."""
        # A digest in every row, so that nothing is measured: without a number, committing times a few true steps.
        chosen = Choices(interval=interval, seed=seed, witness_interval=1, **choices)
        root.mkdir(parents=True)
        commitment, program = write_commitment(root, task, chosen, Silent())
        return cls(root, task, commitment, program, chosen)

    @property
    def steps(self) -> int:
        """Return the number of steps."""
        return self.task.steps

    @cached_property
    def inputs(self) -> tuple[StepInput, ...]:
        """Return the inputs that the commitment gives to each step."""
        return tuple(step_inputs(self.commitment, self.task.source, 1, self.steps + 1))

    @cached_property
    def initial(self) -> HostLeaves:
        """Return the initial state that the commitment gives."""
        given = taken_leaves(self.commitment, self.choices.start)
        with executing(self.program.signature):
            return [np.array(leaf) for leaf in self.program.start(first_key(self.commitment), given)]

    def write(self, transcript: Transcript, **environment: Any) -> None:
        """Write the run that is told; ``environment`` changes fields of the claimed one."""
        schedule, layout = self.commitment.schedule, Layout(self.commitment.state)
        recorder = Recorder(self.root, schedule, layout, Aim(transcript.steps, 1), _NOTHING_YET)
        for row, state in self._rows(layout, transcript):
            kept = schedule.has_checkpoint(row.step, transcript.steps)
            recorder(row, layout.gather(state) if kept else None)
        # Where a run was made is the prover's word, which nobody can check (section 2.2).
        own = msgspec.structs.replace(own_environment(self.commitment), **environment)
        claim = Claim(
            format=self.commitment.format,
            commitment=self.commitment.digest().hex(),
            ledger_root=merkle.root(recorder.digests).hex(),
            steps=transcript.steps,
            final_state=layout.gather(transcript.states[-1]).digest().hex(),
            environments=(EnvironmentFrom(0, own),),
            interventions=(),
        )
        write_whole(self.root / claims.FILE, claim.encode())
        recorder.remove_journal()
        write_whole(self.root / inventory.FILE, take_inventory(self.root, Limits(), claim.format))

    def _rows(self, layout: Layout, transcript: Transcript) -> Iterable[tuple[Row, HostLeaves]]:
        """Yield a row for each state, as a witness of a true run makes them, and the state."""
        rows = self.commitment.row_layout
        key = first_key(self.commitment).astype("<u4").tobytes()
        first = transcript.states[0]
        none = np.empty(0, np.uint64)
        yield Row(0, key, none, batch_digest([]), layout.gather(first).digest(), b"", rows), first
        places = [self.program.signature.metrics.index(name) for name in rows.metrics]
        for inputs, metrics, state in zip(transcript.inputs, transcript.metrics, transcript.states[1:], strict=True):
            row = Row(
                step=inputs.step,
                key=inputs.key.astype("<u4").tobytes(),
                indices=inputs.indices,
                batch=batch_digest(digest_batch(inputs.batch, inputs.indices.astype(np.int64), None)),
                state=layout.gather(state).digest(),
                metrics=b"".join(metrics[at].astype("<f4").tobytes() for at in places),
                layout=rows,
            )
            yield row, state


def claim_elsewhere(root: Path, cpu: str = "an abacus") -> None:
    """Let a finished proof say that it was made on another processor, so that a verifier compares numbers."""
    claim = Claim.parse((root / claims.FILE).read_bytes())
    other = msgspec.structs.replace(claim.environment, cpu=cpu)
    changed = msgspec.structs.replace(claim, environments=(EnvironmentFrom(0, other),))
    write_whole(root / claims.FILE, changed.encode())
    # The inventory has the digest of the claim's file, and stage 2 would find the old one.
    write_whole(root / inventory.FILE, take_inventory(root, Limits(), claim.format))


def open_falsely(
    root: Path, source: Source, transcript: Transcript, steps: Sequence[int], *, decisions: bool = False
) -> Opening:
    """Return an opening of a false proof, with the states that the forger tells of; none of them is checked.

    Args:
        root: the proof, written by `FalseProof.write`.
        source: the records that the forger shows.
        transcript: the run that the proof tells of.
        steps: the challenged steps.
        decisions: whether to write what the operands of decisions were near a tie, in the forger's favour.
    """
    proof = open_proof(root).finished()
    layout = Layout(proof.commitment.state)
    wanted = witnessed_spans(proof.commitment.schedule, steps, transcript.steps)
    # Whatever was asked for, an opening has both ends of the run (section 14): without them nothing is accepted.
    ends = {0, transcript.steps} | {end for span in wanted for end in (span.start, span.stop)}
    states = {step: layout.gather(transcript.states[step]) for step in sorted(ends)}
    return opening_of(proof, source, opened_rows(proof, wanted), states, decisions=decisions)
