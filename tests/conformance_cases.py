"""The cases of ``tests/conformance``, and the end that stages 1 to 8 of our verifier give to each, without a replay."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from places import TESTS

from pol_jax.errors import BackendError, ProofError
from pol_jax.protocol import claim as claims
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import EarlierProof
from pol_jax.protocol.inventory import Inventory
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.spans import witnessed_spans
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.openings import read_opening
from pol_jax.verifying import checks, opening_checks, opening_contents, opening_rows
from pol_jax.verifying.ancestry import check_taken

KIT = TESTS / "conformance"
lay_out = runpy.run_path(str(KIT / "lay_out.py"))["lay_out"]
CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads((KIT / "cases.json").read_text(encoding="utf-8"))["cases"]
}
LIMITS = Limits()
PARSERS = {"commitment": Commitment.parse, "claim": Claim.parse, "inventory": Inventory.parse}


class Stopped(Exception):
    """A stage was not passed."""

    def __init__(self, end: str, stage: int | None, words: str) -> None:
        super().__init__(end, stage, words)
        self.end, self.stage, self.words = end, stage, words


@contextmanager
def stage(number: int | None) -> Iterator[None]:
    try:
        yield
    except ProofError as error:
        raise Stopped("refused", number, str(error)) from error
    except BackendError as error:
        raise Stopped("inconclusive", number, str(error)) from error


def laid_out(case: dict[str, Any], folder: Path) -> Path:
    """Lay a case out in a folder."""
    lay_out(case, folder / "case")
    return folder / "case"


def end_of(case: dict[str, Any], root: Path) -> Stopped:
    """Return how the verification of a case ends that was laid out as ``root``."""
    judge: dict[str, Callable[[dict[str, Any], Path], None]]
    judge = {"document": _judge_document, "proof": _judge_proof, "opening": _judge_opening}
    try:
        judge[case["kind"]](case, root)
    except Stopped as stopped:
        return stopped
    return Stopped("success", None, "")


def _judge_document(case: dict[str, Any], root: Path) -> None:
    kind = case["document"]
    with stage(None):
        PARSERS[kind]((root / f"{kind}.json").read_bytes())


def _judge_proof(case: dict[str, Any], root: Path) -> None:
    with stage(1):
        sizes = checks.check_names(root, LIMITS)
    with stage(2):
        claim, _ = checks.check_files(root, sizes, LIMITS)
    with stage(3):
        checked = checks.check_commitment(root, claim, LIMITS)
    with stage(4):
        checked = checks.check_ledger(checked, claim)
    with stage(5):
        checks.check_inputs(checked.proof, claim, checked.records)
    with stage(6):
        checks.check_states(checked.proof)
    initial = checked.proof.commitment.initial
    with stage(7):
        check_taken(checked.proof.commitment, checked.proof.host_leaves(0), "checkpoints/0000000000")
        given = (KIT / each / claims.FILE for each in case.get("earlier", []))
        earlier = {Claim.parse(each.read_bytes()).digest().hex() for each in given}
        if isinstance(initial, EarlierProof) and initial.claim not in earlier:
            raise BackendError("initial: the earlier proof was not given")


def _judge_opening(case: dict[str, Any], root: Path) -> None:
    with stage(1):
        opening = read_opening(root / "opening", LIMITS)
    with stage(2):
        claim = Claim.parse(read_bounded(root, claims.FILE, LIMITS))
        if opening.claim != claim.digest():
            raise ProofError("opening", "claim: this opens another claim")
    with stage(3):
        commitment, program = opening_checks.check_opened_commitment(opening, claim, LIMITS)
    wanted = witnessed_spans(commitment.schedule, case["steps"], claim.steps)
    with stage(4):
        rows = opening_rows.check_opened_rows(opening, commitment, claim)
    shown = {each.step for each in opening.states}
    whole = (each for each in wanted if {each.start, *each.steps} <= rows.keys())
    answered = [each for each in whole if {each.start, each.stop} <= shown]
    with stage(5):
        records = opening_contents.check_opened_inputs(opening, commitment, rows, answered)
        opening_checks.check_opened_decisions(opening, program, rows)
    with stage(6):
        states = opening_contents.check_opened_states(opening, commitment, rows)
        changed = opening_contents.check_interventions(opening, commitment, claim, answered)
    with stage(7):
        if 0 in states:
            check_taken(commitment, states[0].leaves, "opening")
    opened = opening_checks.Opened(commitment, program, rows, records, states, changed)
    with stage(8):
        missing = opening_checks.missing_ends(opened, claim.steps, within_tolerance=False)
        if len(answered) < len(wanted) or missing:
            raise BackendError(missing or "a challenged step is left out")
