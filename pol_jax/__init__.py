"""Proof-of-Learning for JAX: prove that you trained a model; check a proof by replaying a small part of it.

    >>> import pol_jax
    >>> task = pol_jax.load_task("digits")          # or a pol_jax.Task of your own
    >>> proof = pol_jax.train(task, "proof", steps=100)
    >>> report = pol_jax.verify("proof")
    >>> bool(report), report.verdict
    (True, <Verdict.ACCEPTED: 'accepted'>)
    >>> params = proof.final_state()["params"]

The packages, in the order in which they are read; each imports only those above it (``docs/architecture.md``):

    ground        the modules beside the packages: errors, files, progress
    protocol      the formats and rules of docs/protocol.md: values, bytes, digests, keys, order, challenges
    attesting     who trained a model and when: keys, signatures, timestamps, encryption
    program       the exported StableHLO programs, audited and compiled
    exact         arithmetic that has the same bits on every backend
    training      tasks, records, states, and the one loop that runs steps
    storage       checkpoints, ledger, journal, documents and openings on disk
    reports       what a verification found, as a value, in words and as a page
    judging       from replays and comparisons to a verdict
    verifying     the nine stages of a verification
    proving       commit, record, resume, claim, open
    sandbox       verification in a confined process, replay in several
    workers       the updates of untrusted workers
    backends      the reproduction error across XLA backends, measured
    integrations  the engines Flower and Ray
    tasks         tasks that are built in
    attacks       published attacks and our own, for trying verifiers
    html          the public name of the page that reports renders
    cli           the command line, ``pol``
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# For type checkers alone: at run time each of these names is imported when it is first used.
if TYPE_CHECKING:
    from pol_jax.attesting.key_files import read_private_key
    from pol_jax.errors import PolError
    from pol_jax.protocol.policies import (
        AllSegments,
        JointSegments,
        ListedSegments,
        ListedSteps,
        RandomSegments,
        RandomSteps,
        TopSegments,
    )
    from pol_jax.proving.choices import Choices
    from pol_jax.proving.fine_tuning import Start
    from pol_jax.proving.opener import open_steps
    from pol_jax.proving.recording import Recording
    from pol_jax.proving.train import train
    from pol_jax.reports.outcomes import Verdict
    from pol_jax.reports.report import Report
    from pol_jax.sandbox.bounds import Bounds
    from pol_jax.sandbox.verify import verify, verify_opening
    from pol_jax.storage.openings import write_opening
    from pol_jax.storage.proof import Proof, open_proof
    from pol_jax.storage.record_directory import RecordDirectory, records_from
    from pol_jax.tasks.nnx import from_nnx
    from pol_jax.training.multi_step import multi_step
    from pol_jax.training.records import Arrays, Cached
    from pol_jax.training.task import Source, Task, load_task
    from pol_jax.verifying.diff import Difference, diff
    from pol_jax.workers.assignment import Assignment, Data, register
    from pol_jax.workers.training import train_update
    from pol_jax.workers.trusted_task import TrustedTask
    from pol_jax.workers.verify_update import UpdateResult, verify_update

_HOME = {
    "AllSegments": "protocol.policies",
    "Arrays": "training.records",
    "Assignment": "workers.assignment",
    "Bounds": "sandbox.bounds",
    "Cached": "training.records",
    "Choices": "proving.choices",
    "Data": "workers.assignment",
    "Difference": "verifying.diff",
    "JointSegments": "protocol.policies",
    "ListedSegments": "protocol.policies",
    "ListedSteps": "protocol.policies",
    "PolError": "errors",
    "Proof": "storage.proof",
    "RandomSegments": "protocol.policies",
    "RandomSteps": "protocol.policies",
    "RecordDirectory": "storage.record_directory",
    "Recording": "proving.recording",
    "Report": "reports.report",
    "Source": "training.task",
    "Start": "proving.fine_tuning",
    "Task": "training.task",
    "TopSegments": "protocol.policies",
    "TrustedTask": "workers.trusted_task",
    "UpdateResult": "workers.verify_update",
    "Verdict": "reports.outcomes",
    "diff": "verifying.diff",
    "from_nnx": "tasks.nnx",
    "load_task": "training.task",
    "multi_step": "training.multi_step",
    "open_proof": "storage.proof",
    "open_steps": "proving.opener",
    "read_private_key": "attesting.key_files",
    "records_from": "storage.record_directory",
    "register": "workers.assignment",
    "train": "proving.train",
    "train_update": "workers.training",
    "verify": "sandbox.verify",
    "verify_opening": "sandbox.verify",
    "verify_update": "workers.verify_update",
    "write_opening": "storage.openings",
}

__all__ = [
    "AllSegments",
    "Arrays",
    "Assignment",
    "Bounds",
    "Cached",
    "Choices",
    "Data",
    "Difference",
    "JointSegments",
    "ListedSegments",
    "ListedSteps",
    "PolError",
    "Proof",
    "RandomSegments",
    "RandomSteps",
    "RecordDirectory",
    "Recording",
    "Report",
    "Source",
    "Start",
    "Task",
    "TopSegments",
    "TrustedTask",
    "UpdateResult",
    "Verdict",
    "diff",
    "from_nnx",
    "load_task",
    "multi_step",
    "open_proof",
    "open_steps",
    "read_private_key",
    "records_from",
    "register",
    "train",
    "train_update",
    "verify",
    "verify_opening",
    "verify_update",
    "write_opening",
]


def __dir__() -> list[str]:
    """Return the public names, before they are used too."""
    return sorted({*globals(), *__all__, "__version__"})


def __getattr__(name: str) -> Any:
    """Import a name's module when it is first used: ``import pol_jax`` costs no jax."""
    if name == "__version__":
        return import_module("importlib.metadata").version("pol_jax")
    # A module, while all other names are of something inside of one.
    if name == "html":
        return import_module("pol_jax.html")
    if name not in _HOME:
        raise AttributeError(f"module 'pol_jax' has no attribute {name!r}")
    return getattr(import_module(f"pol_jax.{_HOME[name]}"), name)
