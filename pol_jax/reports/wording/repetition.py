"""A report gives the command that repeats its verification, as far as it knows it: files have the reader's names."""

from __future__ import annotations

import shlex

from pol_jax.protocol.policies import ListedSteps, StepPolicy
from pol_jax.reports.provenance import Origin
from pol_jax.reports.report import Report
from pol_jax.reports.wording.policies import options


def repeating_command(report: Report) -> tuple[str, ...]:
    """Return the command that makes the same draw and judges by the same policy, in parts that stay on a line.

    A word in capitals stands for a file or a task that the reader has under a name of their own.
    """
    opened = isinstance(report.policy, StepPolicy)
    data, who, drift = report.data, report.authorship, report.drift
    compared = data.compared if data is not None else None
    named = compared is not None and compared.startswith("--task ")
    return (
        "pol verify CLAIM --opening FILE" if opened else "pol verify PROOF",
        options(report.policy),
        *([] if isinstance(report.policy, ListedSteps) or not report.nonce else [f"--nonce {report.nonce}"]),
        *(["--task TASK"] if named or report.program_origin is not Origin.NOT_COMPARED else []),
        *(f"--parent DIR_OF_{ancestor.claim[:8]}" for ancestor in report.ancestors),
        *([f"--d-ref {drift.d_ref!r}"] if drift is not None and drift.d_ref is not None else []),
        *(["--exact"] if report.exact else []),
        *(f"--leaves {shlex.quote(leaf)}" for leaf in report.leaves),
        *([f"--signer {shlex.quote(who.pinned)}"] if who is not None and who.pinned is not None else []),
        *(["--model FILE"] if report.deployed is not None else []),
    )
