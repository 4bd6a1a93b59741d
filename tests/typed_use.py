"""What a type checker sees of ``import pol_jax``. It is checked and never run; a name without a type fails here.

An ignored error that is none is an error too: so the last line of each group shows that arguments are checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import pol_jax
import pol_jax.html


def prove(out: Path) -> pol_jax.Proof:
    """A task by name, trained with a proof."""
    task = pol_jax.load_task("digits")
    assert_type(task, pol_jax.Task)
    assert_type(pol_jax.train(task, out, steps=1, choices=pol_jax.Choices(interval=1)), pol_jax.Proof)
    assert_type(pol_jax.open_proof(out), pol_jax.Proof)
    pol_jax.train(task, out, steps="1")  # type: ignore[arg-type]
    return pol_jax.open_proof(out)


def judge(proof: Path, opening: Path) -> pol_jax.Report:
    """A proof and an opening, verified."""
    report = pol_jax.verify(proof, policy=pol_jax.RandomSegments(confidence=0.9))
    assert_type(report, pol_jax.Report)
    assert_type(report.verdict, pol_jax.Verdict)
    assert_type(pol_jax.verify_opening(proof, opening, pol_jax.ListedSteps((1,))), pol_jax.Report)
    assert_type(pol_jax.html.render(report), str)
    pol_jax.verify(3)  # type: ignore[arg-type]
    return report
