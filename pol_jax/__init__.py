"""Proof-of-Learning for JAX: prove that you trained a model; check a proof by replaying a small part of it.

    >>> import pol_jax
    >>> task = pol_jax.load_task("digits")          # or a pol_jax.Task of your own
    >>> proof = pol_jax.train(task, "proof", steps=100)
    >>> report = pol_jax.verify("proof")
    >>> bool(report), report.verdict
    (True, <Verdict.ACCEPTED: 'accepted'>)
    >>> params = proof.final_state()["params"]

How data flows, and where each thing lives:

    task, data -> commit(ment) -> keys, order -> inputs -> loop -> recorder (ledger, journal, checkpoints) -> claim
    proof -> checks (stages 1-6), magnitudes -> lineage -> challenge -> replay (the same loop) -> verdict -> report

`encoding` owns every byte that is hashed, `documents` the canonical JSON, `program` the exported functions (`audit`,
`stablehlo` and `dataflow` look into them, `origin` compares them with source that the verifier trusts), `states`
the way of a state from the device to its digest, `isolation` and `child` the process of its own in which a proof is
verified, `initial`, `start` and `lineage` what an initial state takes over from where, `html` a report as a page,
`backends` the reproduction error across XLA backends, `errors` every way to say no. ``docs/protocol.md`` specifies it
all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pol_jax.bounds import Bounds
    from pol_jax.challenge import (
        AllSegments,
        JointSegments,
        ListedSegments,
        ListedSteps,
        RandomSegments,
        RandomSteps,
        TopSegments,
    )
    from pol_jax.commit import Choices
    from pol_jax.data import Arrays, Cached
    from pol_jax.divergence import Difference, diff
    from pol_jax.errors import PolError
    from pol_jax.isolation import verify, verify_opening
    from pol_jax.opener import open_steps, write_opening
    from pol_jax.proof import Proof, open_proof
    from pol_jax.prover import Recording, train
    from pol_jax.report import Report, Verdict
    from pol_jax.start import Start
    from pol_jax.task import Source, Task, load_task

_HOME = {
    "AllSegments": "challenge",
    "Arrays": "data",
    "Bounds": "bounds",
    "Cached": "data",
    "Choices": "commit",
    "Difference": "divergence",
    "JointSegments": "challenge",
    "ListedSegments": "challenge",
    "ListedSteps": "challenge",
    "PolError": "errors",
    "Proof": "proof",
    "RandomSegments": "challenge",
    "RandomSteps": "challenge",
    "Recording": "prover",
    "Report": "report",
    "Source": "task",
    "Start": "start",
    "Task": "task",
    "TopSegments": "challenge",
    "Verdict": "report",
    "diff": "divergence",
    "load_task": "task",
    "open_proof": "proof",
    "open_steps": "opener",
    "train": "prover",
    "verify": "isolation",
    "verify_opening": "isolation",
    "write_opening": "opener",
}

__all__ = [
    "AllSegments",
    "Arrays",
    "Bounds",
    "Cached",
    "Choices",
    "Difference",
    "JointSegments",
    "ListedSegments",
    "ListedSteps",
    "PolError",
    "Proof",
    "RandomSegments",
    "RandomSteps",
    "Recording",
    "Report",
    "Source",
    "Start",
    "Task",
    "TopSegments",
    "Verdict",
    "diff",
    "load_task",
    "open_proof",
    "open_steps",
    "train",
    "verify",
    "verify_opening",
    "write_opening",
]


def __getattr__(name: str) -> Any:
    """Import a name's module when it is first used: ``import pol_jax`` costs no jax."""
    if name not in _HOME:
        raise AttributeError(f"module 'pol_jax' has no attribute {name!r}")
    return getattr(import_module(f"pol_jax.{_HOME[name]}"), name)
