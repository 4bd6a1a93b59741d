"""A forger of proofs: it executes the steps of a finished run again, changes what it likes, and hashes all of it anew.

What comes out passes every check that needs no replay.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

import jax.numpy as jnp
import msgspec
import numpy as np

from pol_jax.files import write_whole
from pol_jax.program.artifact import Program
from pol_jax.protocol import claim as claims
from pol_jax.protocol import inventory, merkle
from pol_jax.protocol.claim import EnvironmentFrom
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.environment import Environment
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import witnessed_spans
from pol_jax.protocol.trees import HostLeaves
from pol_jax.proving import opener
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.checkpoints import save_checkpoint
from pol_jax.storage.inventory import take_inventory
from pol_jax.storage.ledger import DIRECTORY, seal
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.states import HostState, Layout
from pol_jax.training.task import Source

Change: TypeAlias = Callable[[int, HostLeaves, HostLeaves], HostLeaves]
"""Returns the forged state after a step: given its number, the state before it and the true one after it."""
ChangeBatch: TypeAlias = Callable[[StepInput], StepInput]
"""Returns what a step receives in the place of what it should."""


def no_change(_step: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
    """Return the true state after a step."""
    return after


def as_assigned(inputs: StepInput) -> StepInput:
    """Return what a step should receive."""
    return inputs


def trajectory(
    commitment: Commitment,
    program: Program,
    source: Source,
    steps: int,
    state: HostLeaves,
    change: Change = no_change,
    change_batch: ChangeBatch = as_assigned,
) -> Iterator[tuple[int, HostLeaves, Sequence[np.ndarray]]]:
    """Yield each step with the state after it, changed, and the step's metrics.

    Args:
        commitment: gives keys and order of records.
        program: runs.
        source: the records.
        steps: how many.
        state: the initial one.
        change: changes the state after each step; later steps begin with the changed one.
        change_batch: changes what a step receives.
    """
    for inputs in step_inputs(commitment, source, 1, steps + 1):
        given = change_batch(inputs)
        leaves, metrics = program.step(tuple(jnp.array(leaf) for leaf in state), given.batch, given.key)
        state = change(given.step, state, [np.asarray(leaf) for leaf in leaves])
        yield given.step, state, [np.asarray(each) for each in metrics]


def forge(
    root: Path,
    source: Source,
    change: Change = no_change,
    *,
    change_batch: ChangeBatch = as_assigned,
    environment: Environment | None = None,
) -> dict[int, HostState]:
    """Rewrite the finished proof in ``root``, and return all states that it has now, by their steps.

    Args:
        root: the proof's directory.
        source: its records.
        change: changes the state after each step; later steps begin with the changed one.
        change_batch: changes what a step receives, while the ledger keeps the digest of the committed batch.
        environment: that the claim names; None for the true one.
    """
    proof = open_proof(root)
    layout, steps, interval = Layout(proof.commitment.state), proof.segments.steps, proof.segments.interval
    program, rows, state = proof.program(), list(proof.rows()), proof.host_leaves(0)
    states = {0: layout.gather(state)}
    for step, after, metrics in trajectory(proof.commitment, program, source, steps, state, change, change_batch):
        states[step] = layout.gather(after)
        values = b"".join(each.astype("<f4").tobytes() for each in metrics)
        rows[step] = replace(rows[step], state=states[step].digest(), metrics=values)
        if step % interval == 0 or step == steps:
            shutil.rmtree(root / checkpoint_name(step))
            save_checkpoint(root, step, layout.spec, after)
    rewrite(proof, rows, environment)
    return states


def open_forged(
    root: Path, source: Source, steps: Iterable[int], states: Mapping[int, HostState], *, decisions: bool = True
) -> Opening:
    """Open a forged proof: with the forged states, and without a look at what is false in it."""
    with patch.object(opener, "_check_claim"), patch.object(opener, "regenerate") as regenerate:
        proof = open_proof(root)
        assert proof.claim is not None  # noqa: S101  # it is finished
        spans = witnessed_spans(proof.commitment.schedule, steps, proof.claim.steps)
        shown = {0, proof.claim.steps} | {step for span in spans for step in (span.start, span.stop)}
        regenerate.return_value = {step: states[step] for step in shown}
        return opener.open_steps(proof, source, steps, decisions=decisions)


def rewrite(proof: Proof, rows: Sequence[Row], environment: Environment | None = None) -> None:
    """Write a ledger of these rows, with a claim and an inventory that agree with it."""
    assert proof.claim is not None  # noqa: S101  # it is finished
    shutil.rmtree(proof.root / DIRECTORY)
    for segment in range(len(proof.segments)):
        seal(proof.root, segment, [rows[step] for step in proof.segments.rows(segment)])
    claim = msgspec.structs.replace(
        proof.claim,
        ledger_root=merkle.root([row.digest() for row in rows]).hex(),
        final_state=(rows[-1].state or b"").hex(),
        environments=(EnvironmentFrom(0, environment or proof.claim.environment),),
    )
    write_whole(proof.root / claims.FILE, claim.encode())
    (proof.root / inventory.FILE).unlink()
    write_whole(proof.root / inventory.FILE, take_inventory(proof.root, Limits()))
