"""How a proof is accepted: bit for bit, or within a tolerance, which the verdict says, a child of such a proof too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny
from example_reports import compared
from forge import Forger
from tiny import NONCE
from unsandboxed import verify, verify_opening

from pol_jax import Choices, train
from pol_jax.cli.cures import cures
from pol_jax.cli.report_screen import print_report
from pol_jax.cli.terminal import make_console
from pol_jax.errors import UsageError
from pol_jax.judging.drift import LARGEST_SHARE, drift_objection, with_ancestors
from pol_jax.judging.tolerated import Tolerated
from pol_jax.protocol.challenge import draw_steps
from pol_jax.protocol.policies import AllSegments, ListedSteps, RandomSteps
from pol_jax.protocol.spans import Span
from pol_jax.proving.fine_tuning import Start
from pol_jax.proving.opener import open_steps
from pol_jax.reports.comparison import Compared
from pol_jax.reports.html import render
from pol_jax.reports.outcomes import Mode, Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.reports.wording.drift import describe_drift
from pol_jax.reports.wording.verdicts import describe_verdict
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof
from pol_jax.verifying import opening_verifier, replay
from pol_jax.verifying.compilations import variants
from pol_jax.verifying.proof_verifier import ProofVerifier
from pol_jax.verifying.trusted_program import trust

SOURCE = tiny.linen().source


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof of this backend, one of another backend, and a child of each, made here."""
    root = tmp_path_factory.mktemp("modes")
    for name, child in (("here", "of_here"), ("abroad", "of_abroad")):
        train(tiny.linen(steps=12), root / name, choices=Choices(seed="mode"))
        if name == "abroad":
            forger = Forger(root / name)
            no_fusion = next(each for each in variants("cpu") if each.name == "no fusion")
            forger.train_on(SOURCE, 0, 12, forger.states[0], no_fusion)
            forger.write()
        start = Start(open_proof(root / name), ("/params",))
        train(tiny.linen(steps=12), root / child, choices=Choices(seed="child", start=start))
    return root


def check(path: Path, *parents: Path, **asked: Any) -> Report:
    asked = {"any_program": True, **asked}
    return verify(path, SOURCE, policy=AllSegments(), nonce=NONCE, parents=parents, **asked)


@pytest.fixture(scope="module")
def abroad(chain: Path) -> Report:
    """The report on the proof of another backend."""
    return check(chain / "abroad")


@pytest.fixture(scope="module")
def of_abroad(chain: Path) -> Report:
    """The report on its child."""
    return check(chain / "of_abroad", chain / "abroad")


def shown(report: Report) -> str:
    console = make_console()
    with console.capture() as capture:
        print_report(console, report)
    return capture.get()


def test_an_acceptance_of_bits_says_so(chain: Path) -> None:
    report = check(chain / "of_here", chain / "here", exact=True)
    assert (report.verdict, report.mode, report.exact) == (Verdict.ACCEPTED, Mode.BITS, True), report.reasons
    assert [each.mode for each in report.ancestors] == [Mode.BITS]
    assert "accepted, bit for bit; " in shown(report)
    assert "Accepted, bit for bit" in render(report)
    assert any("no tolerance was needed" in line for line in describe_drift(report))


def test_an_acceptance_within_a_tolerance_says_how_much_that_is(abroad: Report) -> None:
    report = abroad
    assert (report.verdict, report.mode, report.exact) == (Verdict.ACCEPTED, Mode.TOLERANCE, False), report.reasons
    words = describe_verdict(report)
    assert words.startswith("accepted within a tolerance (every run of steps within 0.")
    assert words.endswith("% of the distance in total)")
    assert words in shown(report)
    assert words[1:] in render(report)
    assert msgspec.json.decode(report.to_json())["mode"] == "tolerance"


def test_a_child_of_a_tolerated_proof_is_accepted_within_a_tolerance(of_abroad: Report) -> None:
    """Its own steps came out bit for bit, but where they began is known within a tolerance only."""
    report = of_abroad
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.TOLERANCE), report.reasons
    assert report.compared == ()
    (parent,) = report.ancestors
    assert parent.mode is Mode.TOLERANCE
    assert parent.tolerated > 0
    assert report.reasons[0].startswith(f"the initial state comes from the run of claim {parent.claim[:16]}…")
    assert "accepted within a tolerance: errors that it allows could add up to" in report.reasons[0]
    assert "earlier runs included" in describe_verdict(report)


def test_a_program_that_nobody_compared_has_no_tolerance(chain: Path) -> None:
    """What it makes of last places may show only after many steps, or in one that was not drawn."""
    report = check(chain / "abroad", any_program=False)
    assert (report.verdict, report.mode) == (Verdict.INCONCLUSIVE, None)
    assert any("the program was not compared with any source" in reason for reason in report.reasons), report.reasons
    assert any("add --task, or --any-program" in cure for cure in cures(report))
    assert not any("add --task, or --any-program" in cure for cure in cures(report, ["verify", "--any-program"]))
    assert check(chain / "here", any_program=False).mode is Mode.BITS
    trusted = check(chain / "abroad", any_program=False, trusted=trust(tiny.linen(steps=12)))
    assert trusted.mode is Mode.TOLERANCE, trusted.reasons


def test_a_child_that_reads_what_its_parent_left(chain: Path, abroad: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits of its own are not enough, where last places of its initial state decide them."""
    undecided = "leaf /params: last places of the state before move it"

    def compare(_material: Any, spans: Any, _progress: Any, *, equal: Any) -> Iterator[Compared]:
        assert not spans
        for span in equal:
            found = compared(span.stop, 0.0, Outcome.INCONCLUSIVE, start=span.start)
            yield msgspec.structs.replace(found, reasons=(undecided,), equal=True)

    monkeypatch.setattr(replay, "compare_spans", compare)
    assert check(chain / "of_here", chain / "here").verdict is Verdict.ACCEPTED
    monkeypatch.setattr(ProofVerifier, "_verify_ancestor", lambda *_: abroad)
    report = check(chain / "of_abroad", chain / "abroad")
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any(undecided in reason for reason in report.reasons), report.reasons


def test_tolerances_of_earlier_proofs_count_in_the_drift(of_abroad: Report) -> None:
    drift, (parent,) = of_abroad.drift, of_abroad.ancestors
    assert drift is not None
    assert drift.distance is not None
    assert parent.drift is not None
    far = msgspec.structs.replace(
        parent, drift=msgspec.structs.replace(parent.drift, tolerated=1.01 * LARGEST_SHARE * drift.distance)
    )
    unbounded = msgspec.structs.replace(parent, drift=msgspec.structs.replace(parent.drift, tolerated=None))
    assert drift_objection(with_ancestors(drift, [parent])) is None
    assert drift_objection(with_ancestors(drift, [far])) is not None
    assert drift_objection(with_ancestors(drift, [unbounded])) is not None
    assert with_ancestors(drift, [msgspec.structs.replace(far, mode=Mode.BITS)]) == drift


def test_shares_of_leaves_of_earlier_proofs_add_up(of_abroad: Report) -> None:
    """Sixteen runs, each of which leads a leaf by a tenth of its way, would make another model."""
    drift, (parent,) = of_abroad.drift, of_abroad.ancestors
    assert drift is not None
    assert parent.drift is not None
    assert 0 < parent.share == parent.drift.share
    each = msgspec.structs.replace(
        parent, drift=msgspec.structs.replace(parent.drift, share=0.6 * LARGEST_SHARE, leaf="/w", tolerated=0.0)
    )
    assert drift_objection(with_ancestors(drift, [each])) is None
    objection = drift_objection(with_ancestors(drift, [each, each]))
    assert objection is not None
    assert objection.startswith("tolerances add up to 12.0% of the distance of leaf /w")
    unknown = msgspec.structs.replace(each, drift=msgspec.structs.replace(parent.drift, share=None))
    assert drift_objection(with_ancestors(drift, [unknown])) is not None
    assert with_ancestors(drift, [msgspec.structs.replace(each, mode=Mode.BITS)]) == drift


def test_only_equal_bits_are_accepted_on_request(chain: Path) -> None:
    report = check(chain / "abroad", exact=True)
    assert (report.verdict, report.mode, report.exact) == (Verdict.INCONCLUSIVE, None, True)
    assert report.reasons[0] == (
        "stage 9, replay: the verifier asked for equal bits only, and some steps are equal only within a tolerance"
    )
    assert "the verifier asked for equal bits only" in shown(report)
    child = check(chain / "of_abroad", chain / "abroad", exact=True)
    assert (child.verdict, child.mode) == (Verdict.INCONCLUSIVE, None)
    assert "is inconclusive: stage 9, replay: the verifier asked for equal bits only" in child.reasons[0]


def test_only_equal_bits_of_an_opening_are_accepted_on_request(chain: Path, tmp_path: Path) -> None:
    steps, opening = (1, 12), tmp_path / "opening"
    write_opening(opening, open_steps(open_proof(chain / "here"), SOURCE, steps))
    report = verify_opening(chain / "here", opening, ListedSteps(steps), exact=True)
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.BITS), report.reasons


def test_no_line_calls_a_replay_that_differs_exact(chain: Path) -> None:
    """A false step of this backend, where bits decide: nothing is compared, and so nothing was tolerated."""
    report = check(chain / "here")
    wrong = msgspec.structs.replace(report.replays[0], mismatch=3, fields=("state",))
    report = msgspec.structs.replace(report, verdict=Verdict.REJECTED, mode=None, replays=(wrong,))
    assert report.drift is not None
    assert report.drift.tolerated == 0
    assert not any("bit for bit" in line for line in describe_drift(report))


def test_a_verifier_may_name_the_leaves_that_matter(chain: Path) -> None:
    found = verify(chain / "abroad", SOURCE, nonce=NONCE, policy=AllSegments(), leaves=("/params",))
    assert found.leaves == ("/params",)
    assert found.drift is not None
    assert (found.drift.leaf or "").startswith("/params")
    assert any(reason.startswith("only /params matter to the verifier") for reason in found.reasons)
    with pytest.raises(UsageError, match="'/weights' is the path of no leaf"):
        verify(chain / "abroad", SOURCE, nonce=NONCE, leaves=("/weights",))


def test_the_ends_of_a_random_challenge_are_no_mean_of_the_run(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in every challenge; steps that were listed, which the prover could foresee, all stand for the run."""
    seen = []

    def tolerated(*given: Any, **named: Any) -> Tolerated:
        seen.append(Tolerated(*given, **named))
        return seen[-1]

    monkeypatch.setattr(opening_verifier, "Tolerated", tolerated)
    proof, policy = open_proof(chain / "here"), RandomSteps(0.5, 0.2)
    assert proof.claim is not None
    drawn = draw_steps(policy, 12, proof.claim.digest(), NONCE)
    write_opening(tmp_path / "opening", open_steps(proof, SOURCE, range(1, 13)))
    for asked in (policy, ListedSteps((1, 12))):
        verify_opening(chain / "here", tmp_path / "opening", asked, NONCE)
    assert (seen[0].drawn, seen[0].confidence) == ([Span(step - 1, step) for step in drawn], 0.5)
    assert set(drawn) < set(range(1, 13))
    assert seen[1].drawn is None
