"""Attacks by decisions: what breaks their rules is refused in its stage; what is no near tie here is not used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import kinked
import msgspec
import numpy as np
import pytest
from forge import refused
from msgspec.structs import replace
from places import TESTS

from pol_jax.protocol.decisions import MAX_ENTRIES, SiteEntries, StepDecisions
from pol_jax.protocol.opening import Opening
from pol_jax.proving.opener import open_steps
from pol_jax.proving.train import train
from pol_jax.reports.comparison import Compared
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox.starting import python_process
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof

OLD_PROCESSOR = "--xla_cpu_max_isa=SSE4_2"


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kinked") / "proof"
    train(kinked.convolutional(), path, steps=kinked.STEPS)
    return path


@pytest.fixture(scope="module")
def kinks(proof: Path) -> Opening:
    return open_steps(open_proof(proof), kinked.images(), (1,))


def u64(*numbers: int) -> bytes:
    return np.array(numbers, "<u8").tobytes()


def entries(site: int, *indices: int, values: bytes | None = None) -> SiteEntries:
    return SiteEntries(site, u64(*indices), bytes(4 * len(indices)) if values is None else values)


FORGED: dict[str, tuple[tuple[StepDecisions, ...], int, str]] = {
    "sites that don't ascend": ((StepDecisions(1, (entries(1, 0), entries(0, 0))),), 1, "ascend"),
    "indices that don't ascend": ((StepDecisions(1, (entries(0, 5, 5),)),), 1, "ascend"),
    "steps twice": ((StepDecisions(1, (entries(0, 0),)),) * 2, 1, "ascend"),
    "too many": (
        (StepDecisions(1, (entries(0, *range(MAX_ENTRIES)), entries(1, 0))),),
        1,
        f"more than {MAX_ENTRIES} entries",
    ),
    "other lengths": ((StepDecisions(1, (entries(0, 0, 1, values=bytes(6)),)),), 1, "not one value for each index"),
    "a step that is not opened": ((StepDecisions(4, (entries(0, 0),)),), 5, "its row was not opened"),
    "a site too many": ((StepDecisions(1, (entries(1000, 0),)),), 5, "the program has"),
    "an element too many": ((StepDecisions(1, (entries(0, 2**30),)),), 5, "elements"),
    "another dtype": ((StepDecisions(1, (entries(0, 0, values=bytes(8)),)),), 5, "not of float32"),
    "no number": (
        (StepDecisions(1, (entries(0, 0, values=np.float32(np.nan).tobytes()),)),),
        5,
        "not finite",
    ),
}


@pytest.mark.parametrize("kind", FORGED)
def test_decisions_that_break_a_rule_are_refused(
    kind: str, kinks: Opening, proof: Path, check_opening: Callable[..., Report]
) -> None:
    decisions, stage, words = FORGED[kind]
    refused(check_opening(replace(kinks, decisions=decisions), (1,), proof), stage, words)


def test_decisions_change_nothing_where_bits_decide(
    kinks: Opening, proof: Path, check_opening: Callable[..., Report]
) -> None:
    assert kinks.decisions
    for decisions in (kinks.decisions, (), (StepDecisions(1, (entries(0, 7),)),)):
        report = check_opening(replace(kinks, decisions=decisions), (1,), proof)
        assert report.verdict is Verdict.ACCEPTED
        assert report.compared == ()


def test_a_prover_may_leave_them_out(proof: Path) -> None:
    assert open_steps(open_proof(proof), kinked.images(), (1,), decisions=False).decisions == ()


VERIFY = """
from pathlib import Path
import unsandboxed
from pol_jax.protocol.challenge import ListedSteps
claim, opening, report = map(Path, sys.argv[3:])
report.write_bytes(unsandboxed.verify_opening(claim, opening, ListedSteps((1,))).to_json())
"""
COMMAND = """
from pol_jax.cli.main import main
claim, opening, report = sys.argv[3:]
sys.argv[1:] = ["verify", claim, "--opening", opening, "--steps", "1", "--json", report]
main()
"""


def elsewhere(claim: Path, opening: Opening, folder: Path, *, code: str = VERIFY) -> dict[int, Compared]:
    """The comparisons that a verifier with another processor makes, by step.

    XLA reads its flags when it first compiles. Without a sandbox, what it compiles is there for the others.
    """
    opened, written = folder / "opening", folder / "report"
    write_opening(opened, opening)
    begin = f"import os, sys; sys.path.insert(0, {str(TESTS)!r}); os.environ['XLA_FLAGS'] = {OLD_PROCESSOR!r}"
    with python_process(begin + code, [str(claim), str(opened), str(written)], {}) as process:
        process.popen.wait(600)
        assert written.exists(), process.describe_end()
    report = msgspec.json.decode(written.read_bytes(), type=Report)
    return {each.stop: each for each in report.compared}


def test_an_honest_step_passes_on_another_processor_with_decisions_alone(
    kinks: Opening, proof: Path, tmp_path: Path
) -> None:
    """End to end, with the file: without them a comparison has another outcome there, and the step is undecided."""
    without = elsewhere(proof / "claim.json", replace(kinks, decisions=()), tmp_path)[1]
    assert without.outcome is Outcome.INCONCLUSIVE
    assert without.decisions is None
    found = elsewhere(proof / "claim.json", kinks, tmp_path, code=COMMAND)[1]
    assert found.outcome is Outcome.PASSED, found.reasons
    assert found.relative(found.error) < 1e-5
    assert found.decisions is not None
    assert 0 < found.decisions.used <= found.decisions.given
    assert found.decisions.choices
    allowed = found.allowed()
    assert allowed is not None
    assert allowed > found.decisions.choices


def test_forged_values_are_not_used_on_another_processor(kinks: Opening, proof: Path, tmp_path: Path) -> None:
    """Entries that say 1 where the prover's values were nearly 0 are named, and leave the step undecided."""
    (step,) = kinks.decisions
    ones = tuple(replace(each, values=np.ones(each.count, "<f4").tobytes()) for each in step.sites)
    found = elsewhere(proof / "claim.json", replace(kinks, decisions=(replace(step, sites=ones),)), tmp_path)[1]
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "with 0 of the prover's" in found.reasons[0]
    assert "not used: step 1, site 0" in found.reasons[0]
