"""Honest proofs, made under each compilation that this machine has, and judged under the others: none may be rejected.

A compilation stands in for another backend: it rounds differently. The prover trains under it, says that another
processor did, and opens steps with the decisions that they took; the verifier has the other compilations. A proof that
was made under the default one is judged by bits.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from unittest.mock import patch

from pol_jax import AllSegments, ListedSteps, Task
from pol_jax.attacks.false_proof import FalseProof, open_falsely
from pol_jax.attacks.transcript import Transcript, execute
from pol_jax.errors import BackendError
from pol_jax.proving import decision_log
from pol_jax.reports.report import Report
from pol_jax.storage.openings import write_opening
from pol_jax.verifying import compilations
from pol_jax.verifying.compilations import DEFAULT, Variant, compile_step
from pol_jax.verifying.opening_verifier import OpeningVerifier
from pol_jax.verifying.proof_verifier import ProofVerifier
from pol_jax.verifying.request import OpeningRequest, ProofRequest

OPENED: Final = 4
"""So many steps are opened, evenly spaced, beside the ends."""

NONCE: Final = b"a nonce for the honest"


def judge_honest(task: Task, seed: int, folder: Path, ways: Sequence[Variant]) -> Iterator[tuple[str, Report]]:
    """Make an honest proof under each compilation, and yield how it was judged, and the report.

    What a directory leaves open is opened: single steps are judged more sharply.

    Args:
        task: what is trained.
        seed: of the commitments.
        folder: an empty one.
        ways: the compilations; the first is the default one.
    """
    for way in ways:
        root = folder / "honest"
        begun = FalseProof.begin(root, task, task.interval, f"honest {seed}")
        try:
            step = begun.program.step if way is DEFAULT else compile_step(begun.program, way).step
        except BackendError:
            shutil.rmtree(root)
            continue  # the compiler refuses the option
        run = execute(replace(begun.program, step=step), begun.initial, begun.inputs)
        begun.write(run, **({} if way is DEFAULT else {"cpu": f"compiled with {way.name}"}))
        others = [each for each in ways if each is not way]
        with patch.object(compilations, "variants", lambda others=others: tuple(others)):
            request = ProofRequest(path=str(root), policy=AllSegments(), nonce=NONCE, any_program=True)
            report = ProofVerifier(request, task.source).run()
            yield ("bits" if way is DEFAULT else "directory"), report
            if not report:
                yield "opened", _opened(root, task, run, (way, *others))
        shutil.rmtree(root)


def _opened(root: Path, task: Task, run: Transcript, ways: Sequence[Variant]) -> Report:
    """Verify single steps of a proof, which the prover opens on their own backend: the first of the compilations."""
    steps = tuple(sorted({1, task.steps, *range(2, task.steps, max(1, task.steps // OPENED))}))
    with patch.object(decision_log, "variants", lambda: tuple(ways)):
        opening = open_falsely(root, task.source, run, steps, decisions=True)
    file = root.with_name("honest.opening")
    write_opening(file, opening)
    request = OpeningRequest(
        claim=str(root), opening=str(file), policy=ListedSteps(steps), nonce=NONCE, any_program=True
    )
    return OpeningVerifier(request).run()
