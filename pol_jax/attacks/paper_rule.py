"""The verification rule of the 2021 paper is here for measuring attacks, and never for a verdict.

H. Jia et al., "Proof-of-Learning: Definitions and Practice", IEEE S&P 2021 (arXiv:2103.05633), algorithm 2: the
records of each batch have the signatures that the prover gave; the initial state passes a Kolmogorov-Smirnov test; and
of every epoch, the Q largest updates between two logged states are replayed, each from the logged state before, with
the batches, the program and the hyperparameters that the prover gave. A replayed state that is farther from the logged
one than the slack (the paper's delta) refuses the proof. Nothing else is looked at: no order, no key, no digest of a
state, no smaller update.

Settings are those of the authors' own implementation (github.com/cleverhans-lab/Proof-of-Learning, ``verify.py``):
Q = 2, Euclidean distance over the parameters, 0.01 for the smallest p of the test, and a slack of 10, with k = 100, for
a ResNet-20 whose d_ref is 71.5: 0.14 of d_ref. `STRICT` is the slack that published attacks were configured with,
0.008 d_ref at k = 10. The implementation takes the largest updates of the whole run; the paper and this rule take them
of each epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, pairwise
from typing import Final

import jax.numpy as jnp
import numpy as np

from pol_jax.attacks.transcript import parameters_of, state_distance
from pol_jax.program.artifact import Program, executing
from pol_jax.protocol.encoding import batch_digest
from pol_jax.protocol.rows import Row
from pol_jax.protocol.trees import HostLeaves
from pol_jax.storage.proof import Proof
from pol_jax.training.records import digest_batch, take
from pol_jax.training.task import Source
from pol_jax.verifying.initial_test import ks_test


@dataclass(frozen=True)
class PaperRule:
    """The rule of the paper has these parameters, which the paper leaves to the verifier.

    Attributes:
        slack: the largest distance that passes, as a share of d_ref.
        q: how many updates of each epoch are replayed.
        smallest_p: an initial state whose leaves have a smaller p-value is refused.
    """

    slack: float = 10 / 71.5
    q: int = 2
    smallest_p: float = 0.01


PUBLISHED: Final = PaperRule()
STRICT: Final = PaperRule(slack=0.008)


@dataclass(frozen=True)
class PaperVerdict:
    """A verdict of the paper's rule says what the rule found of a proof.

    Attributes:
        refusal: why the proof is refused, in words; None if it is accepted.
        largest: the largest distance of a replayed state to the logged one, as a share of d_ref.
        replayed: how many updates were replayed.
    """

    refusal: str | None
    largest: float = 0.0
    replayed: int = 0

    @property
    def accepted(self) -> bool:
        """Return whether the proof is accepted."""
        return self.refusal is None


def judge_by_paper(proof: Proof, source: Source, d_ref: float, rule: PaperRule = PUBLISHED) -> PaperVerdict:
    """Judge a proof by the rule of the paper.

    Args:
        proof: finished. Its claim, inventory and Merkle roots are no part of that rule and are not looked at.
        source: the records that the prover shows.
        d_ref: the distance between the parameters of two honest trainings that differ in their seed.
        rule: what the verifier chose.

    Raises:
        ProofError: a file of the proof can't be read.
        BackendError: this machine can't run the program.
    """
    program, spec = proof.program(), proof.commitment.state
    rows = list(proof.rows())
    if unsigned := _unsigned(proof, source, rows):
        return PaperVerdict(f"the records of step {unsigned} do not have their signatures")
    if test := ks_test(program, proof.commitment, proof.host_leaves(0)):
        smallest = test.smallest_p / test.leaves  # the report's p is multiplied by the number of leaves
        if smallest < rule.smallest_p:
            return PaperVerdict(f"the initial state fails the test of its distribution (p = {smallest:.1g})")
    # The distance is over parameters alone, as in the authors' code: momenta and counters are never compared.
    places = parameters_of(spec)
    distances = list[float]()
    for start, stop in _largest(proof, places, rule.q):
        replayed = _replay(program, proof.host_leaves(start), source, rows[start + 1 : stop + 1])
        found = state_distance(spec, replayed, proof.host_leaves(stop), places) / d_ref
        distances.append(found)
        # Asked in this way, since a distance that is NaN is not at most anything, and must refuse.
        if not found <= rule.slack:
            reason = f"the replay of steps {start + 1} to {stop} is {found:.2g} d_ref away, more than {rule.slack:.2g}"
            return PaperVerdict(reason, found, len(distances))
    return PaperVerdict(None, max(distances, default=0.0), len(distances))


def _unsigned(proof: Proof, source: Source, rows: Sequence[Row]) -> int | None:
    """Return the first step whose batch digest is not that of the records that the prover shows."""
    for row in rows[1:]:
        indices = row.indices.astype(np.int64)
        batch = take(source, proof.commitment.data.record, indices)
        if batch_digest(digest_batch(batch, indices, None)) != row.batch:
            return row.step
    return None


def _largest(proof: Proof, places: Sequence[int], q: int) -> Iterator[tuple[int, int]]:
    """Yield both ends of the largest updates of each epoch, the largest first."""
    schedule, records = proof.commitment.schedule, proof.commitment.data.records
    logged = {step: proof.host_leaves(step) for step in proof.checkpoints()}
    updates = [
        # The epoch of an update is the one in which its first record lies, as in section 12.2.
        (start * schedule.batch_size // records, start, stop, _size(proof, logged[start], logged[stop], places))
        for start, stop in pairwise(logged)
    ]
    for _, of_epoch in groupby(updates, key=lambda update: update[0]):
        ranked = sorted(of_epoch, key=lambda update: -update[3])
        yield from ((start, stop) for _, start, stop, _ in islice(ranked, q))


def _size(proof: Proof, before: HostLeaves, after: HostLeaves, places: Sequence[int]) -> float:
    return state_distance(proof.commitment.state, before, after, places)


def _replay(program: Program, state: HostLeaves, source: Source, rows: Sequence[Row]) -> HostLeaves:
    """Return what the prover's program makes of a state, with the batches and keys that the prover logged."""
    leaves = tuple(jnp.array(leaf) for leaf in state)
    with executing(program.signature):
        for row in rows:
            batch = take(source, program.signature.record, row.indices.astype(np.int64))
            leaves, _ = program.step(leaves, batch, np.frombuffer(row.key, "<u4"))
        return [np.asarray(leaf) for leaf in leaves]
