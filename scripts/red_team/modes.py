"""This project's verifier in each of its modes, against one forged proof.

The verifiers run in this process: what is measured is their judgement, and not the sandbox.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pol_jax import AllSegments, ListedSteps, PolError, Task
from pol_jax.attacks.attack import Forged
from pol_jax.attacks.false_proof import claim_elsewhere, open_falsely
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.openings import write_opening
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

OPENED: Final = 3
"""So many false steps are opened."""


@dataclass(frozen=True)
class Judged:
    """What one mode says about one forged proof.

    Attributes:
        verdict: accepted, rejected, inconclusive; or "none" where the mode has no meaning for what was forged.
        stage: the stage that was not passed; 0 if all were.
        reason: the first reason of the verdict, or what is told first of an accepted proof.
    """

    verdict: str
    stage: int
    reason: str

    @property
    def short(self) -> str:
        """Return a cell of the table."""
        return f"{self.verdict} ({self.stage})" if self.stage else self.verdict


def judge(forged: Forged, task: Task, mode: str) -> Judged:
    """Return what the verifier says in one of `MODES`; ``task`` is the honest one, which the mode "task" trusts."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "proof"
        shutil.copytree(forged.root, root)
        if mode in ("tolerance", "exact", "decisions"):
            claim_elsewhere(root)
        if mode not in ("decisions", "bundle"):
            return _told(_verify(root, forged, task, mode))
        if forged.transcript is None:
            return Judged("none", 0, "nothing was forged that could be opened")
        steps = sorted(_opened(forged))
        try:
            opening = open_falsely(root, forged.source, forged.transcript, steps, decisions=mode == "decisions")
        except PolError as error:
            return Judged("none", 0, f"can't be opened: {error}")
        write_opening(Path(folder) / "opening", opening)
        request = OpeningRequest(
            claim=str(root), opening=str(Path(folder) / "opening"), policy=ListedSteps(tuple(steps)), nonce=NONCE
        )
        return _told(OpeningVerifier(request).run())


def _verify(root: Path, forged: Forged, task: Task, mode: str) -> Report:
    parents = tuple(str(parent) for parent in forged.parents)
    request = ProofRequest(path=str(root), policy=AllSegments(), nonce=NONCE, exact=mode == "exact", parents=parents)
    if mode != "task":
        return ProofVerifier(request, forged.source).run()
    return ProofVerifier(request, task.source, trusted=trust(task)).run()


def _opened(forged: Forged) -> Iterable[int]:
    """Return some of the false steps, evenly spaced, with the first and the last step of the run."""
    assert forged.transcript is not None  # noqa: S101  # the caller has looked
    false = [step for step in forged.false_steps if step > 0]
    return {1, forged.transcript.steps, *false[:: max(1, len(false) // OPENED)]}


def _told(report: Report) -> Judged:
    passed = (Outcome.PASSED,)
    stage = next((each.number for each in report.stages if each.outcome not in passed), 0)
    reason = report.reasons[0] if report.reasons else ""
    if report.verdict is not Verdict.ACCEPTED:
        wanted = re.compile(r"^stage \d|not what|differs|tolerance|would|drift", re.I)
        reason = next((each for each in report.reasons if wanted.search(each)), reason)
    return Judged(str(report.verdict.value), stage if report.verdict is not Verdict.ACCEPTED else 0, reason)
