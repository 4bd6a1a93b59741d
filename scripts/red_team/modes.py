"""This project's verifier in each of its modes, against one forged proof.

The verifiers run in this process: what is measured is their judgement, and not the sandbox.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from pol_jax import AllSegments, ListedSegments, ListedSteps, PolError, Task
from pol_jax.attacks.attack import Forged
from pol_jax.attacks.false_proof import claim_elsewhere, open_falsely
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof
from pol_jax.training.inputs import plan
from pol_jax.verifying.opening_verifier import OpeningVerifier
from pol_jax.verifying.proof_verifier import ProofVerifier
from pol_jax.verifying.request import OpeningRequest, ProofRequest
from pol_jax.verifying.trusted_program import trust

NONCE: Final = b"a nonce of the scoreboard"

MODES: Final = ("bits", "task", "tolerance", "decisions", "bundle", "exact")
"""The columns: every segment bit for bit; the same with the true task and its records; every segment as numbers, for
the forger names another backend; an opening of false steps, with decisions, on another backend; an opening on this one;
and every segment on another backend, where nothing but equal bits is accepted.
"""

AS_NUMBERS: Final = ("tolerance", "decisions", "exact")
"""The modes in which numbers are compared, which takes many executions of each step."""

OPENED: Final = 8
"""So many false steps are opened, about."""


@dataclass(frozen=True)
class Judged:
    """What one mode says about one forged proof.

    Attributes:
        verdict: accepted, rejected, inconclusive; or "none" where the mode has no meaning for what was forged.
        stage: the stage that was not passed; 0 if all were.
        reason: the first reason of the verdict, or what is told first of an accepted proof.
        parts: how many false segments or steps were replayed, each of which was judged by itself. Of a proof that ended
            before any replay: the rows with keys or records that the commitment does not give, for each of them alone
            would have ended it in stage 5; or 1.
        passed: how many of these were reproduced, bit for bit or within the tolerance.
        caught: the false segments or steps that were not.
    """

    verdict: str
    stage: int
    reason: str
    parts: int = 1
    passed: int = 0
    caught: frozenset[int] = frozenset()

    @property
    def short(self) -> str:
        """Return a cell of the table."""
        return f"{self.verdict} ({self.stage})" if self.stage else self.verdict


def judged(outcome: Outcome, reasons: Sequence[str], stage: int = 9) -> Judged:
    """Return the judgement of a single step, or of an initial state, in the form that a whole proof has."""
    verdict = {Outcome.PASSED: "accepted", Outcome.FAILED: "rejected"}.get(outcome, "inconclusive")
    passed = outcome is Outcome.PASSED
    return Judged(verdict, 0 if passed else stage, reasons[0], 1, int(passed))


def judge(forged: Forged, task: Task, modes: Sequence[str], most: int | None = None) -> Mapping[str, Judged]:
    """Return what the verifier says in each of some modes.

    Args:
        forged: the proof.
        task: the honest one, which the mode "task" trusts.
        modes: of `MODES`.
        most: so many of the false segments are replayed, and no other, where numbers are compared; None to replay every
            segment. Where none is false, every one is replayed.
    """
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = Path(folder) / "proof"
        if not set(AS_NUMBERS).isdisjoint(modes):
            shutil.copytree(forged.root, elsewhere)
            claim_elsewhere(elsewhere)
        return {
            mode: _judge(forged, elsewhere, task, mode, most)
            if mode in AS_NUMBERS
            else _judge(forged, forged.root, task, mode, None)
            for mode in modes
        }


def _judge(forged: Forged, root: Path, task: Task, mode: str, most: int | None) -> Judged:
    if mode not in ("decisions", "bundle"):
        found = _judged(_verify(root, forged, task, mode, most), _false_segments(forged))
        return replace(found, parts=len(_false_rows(root))) if found.stage == Stage.KEYS_AND_ORDER.value else found
    if forged.transcript is None:
        return Judged("none", 0, "nothing was forged that could be opened", parts=0)
    steps = sorted(_opened(forged, OPENED if most is None else min(most, OPENED)))
    try:
        opening = open_falsely(root, forged.source, forged.transcript, steps, decisions=mode == "decisions")
    except PolError as error:
        return Judged("none", 0, f"can't be opened: {error}", parts=0)
    file = root.with_name(f"{root.name}.opening")
    write_opening(file, opening)
    # What is measured is the judgement on numbers, which asks for a program that is known.
    policy = ListedSteps(tuple(steps))
    request = OpeningRequest(claim=str(root), opening=str(file), policy=policy, nonce=NONCE, any_program=True)
    report = OpeningVerifier(request).run()
    file.unlink()
    found = _judged(report, frozenset(forged.false_steps))
    rows = _false_rows(root) & set(steps)
    return replace(found, parts=len(rows)) if found.stage == Stage.KEYS_AND_ORDER.value else found


def _verify(root: Path, forged: Forged, task: Task, mode: str, most: int | None) -> Report:
    chosen = tuple(_spread(sorted(_false_segments(forged)), most)) if most else ()
    parents = tuple(str(parent) for parent in forged.parents)
    request = ProofRequest(
        path=str(root),
        policy=ListedSegments(chosen) if chosen else AllSegments(),
        nonce=NONCE,
        exact=mode == "exact",
        parents=parents,
        any_program=mode != "task",
    )
    if mode != "task":
        return ProofVerifier(request, forged.source).run()
    return ProofVerifier(request, task.source, trusted=trust(task)).run()


def _false_rows(root: Path) -> frozenset[int]:
    """Return the steps whose rows have other keys or records than the commitment gives."""
    proof, rows = open_proof(root), open_proof(root).rows()
    next(rows)
    given = plan(proof.commitment, 1, proof.segments.steps + 1)
    return frozenset(
        row.step
        for row, (_, key, indices) in zip(rows, given, strict=True)
        if row.key != key.astype("<u4").tobytes() or not np.array_equal(row.indices, indices)
    )


def _false_segments(forged: Forged) -> frozenset[int]:
    segments = open_proof(forged.root).segments
    return frozenset(segments.of_step(step) for step in forged.false_steps if step > 0)


def _spread(numbers: Sequence[int], most: int) -> Sequence[int]:
    """Return at most so many of these numbers, evenly spaced."""
    return numbers[:: max(1, -(-len(numbers) // most))]


def _opened(forged: Forged, most: int) -> Iterable[int]:
    """Return some of the false steps, evenly spaced, with the first and the last step of the run."""
    assert forged.transcript is not None  # noqa: S101  # the caller has looked
    false_steps = [step for step in forged.false_steps if step > 0]
    return {1, forged.transcript.steps, *false_steps[:: max(1, len(false_steps) // most)]}


def _judged(report: Report, false_steps: frozenset[int]) -> Judged:
    stage = next((each.number for each in report.stages if each.outcome is not Outcome.PASSED), 0)
    reason = report.reasons[0] if report.reasons else ""
    accepted = report.verdict is Verdict.ACCEPTED
    if not accepted:
        wanted = re.compile(r"^stage \d|not what|differs|tolerance|would|drift", re.I)
        reason = next((each for each in report.reasons if wanted.search(each)), reason)
    judged, passed = _judged_parts(report)
    met = false_steps & judged
    if not met:
        return Judged(str(report.verdict.value), 0 if accepted else stage, reason, 1, int(accepted))
    caught = met - passed
    return Judged(str(report.verdict.value), 0 if accepted else stage, reason, len(met), len(met) - len(caught), caught)


def _judged_parts(report: Report) -> tuple[frozenset[int], frozenset[int]]:
    """Return which segments of a proof, or steps of an opening, were judged, and which of them passed."""
    by_number = [
        (each.segments or tuple(each.span.steps), each.outcome is Outcome.PASSED)
        for each in report.compared
        if not each.is_initial
    ]
    compared = {number: passed for numbers, passed in by_number for number in numbers}
    replayed = {each.segment: each.mismatch is None for each in report.replays}
    found = {**replayed, **compared}
    return frozenset(found), frozenset(number for number, passed in found.items() if passed)
