"""These rules make a verdict of what the replays and comparisons gave (docs/protocol.md, section 13.1).

Bits are judged first. They can accept on any backend: a forger can't match bits by luck. They may reject only where
this backend has shown that it is the prover's: the environments are equal, and it reproduces this very program on the
self-test or on another segment; or where the program is in exact arithmetic, whose rules this backend keeps. Anywhere
else a difference says nothing, and numbers are compared in place of bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol.stages import Stage
from pol_jax.reports.comparison import Compared
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.wording.coverage import describe_mismatch
from pol_jax.reports.wording.quantities import describe_steps


@dataclass(frozen=True)
class Evidence:
    """Evidence is what this backend has shown by replaying.

    Attributes:
        environment_differences: between the claimed environment and this one, one line each.
        initial_exact: whether the initial state is reproduced bit for bit; None where an opening leaves it out.
        self_test: the replay of the first steps; None for an opening, which has none.
        segments: what the replays say of each challenged segment; one that was not reached counts as one that differs.
        repeatable: whether the first difference was the same when it was replayed again; True if there was none.
        exact_arithmetic: whether the program computes alike on every backend. This one has then shown by a self-test
            that it keeps the rules, or the first field says that it doesn't.
        unit: of the challenge: segments of a proof, or steps of an opening.
    """

    environment_differences: Sequence[str]
    initial_exact: bool | None
    self_test: ReplayResult | None
    segments: Sequence[ReplayResult]
    repeatable: bool
    exact_arithmetic: bool = False
    unit: str = "segment"


@dataclass(frozen=True)
class Judgement:
    """A judgement is a verdict with its reasons, the outcomes of the stages 7 and 9, and what stage 9 found."""

    verdict: Verdict
    reasons: tuple[str, ...]
    initial: Outcome
    replay: Outcome
    seen: str = ""


def judge_bits(evidence: Evidence) -> Judgement:
    """Judge by bits a proof that passed all checks before the replay."""
    exact = [segment for segment in evidence.segments if segment.exact]
    seen = f"{len(exact)} of {len(evidence.segments)} {evidence.unit}s bit for bit"
    self_test_exact = evidence.self_test is None or evidence.self_test.exact
    replays_exact = self_test_exact and len(exact) == len(evidence.segments)
    if evidence.initial_exact is not False and replays_exact and exact:
        initial = "the initial state and " if evidence.initial_exact else ""
        # Bits accept on any backend: nobody gets the same bits by luck (section 13.1).
        those = (
            f"the challenged {evidence.unit}" if len(exact) == 1 else f"all {len(exact)} challenged {evidence.unit}s"
        )
        verb = "was" if len(exact) == 1 and not initial else "were"
        reason = f"{initial}{those} {verb} reproduced bit for bit"
        return Judgement(Verdict.ACCEPTED, (reason,), _initial(evidence, Outcome.PASSED), Outcome.PASSED, seen)
    # Bits differ. That rejects only where this backend is shown to be the prover's (section 13.1).
    undecided = _why_undecided(evidence)
    verdict, outcome = (Verdict.INCONCLUSIVE, Outcome.INCONCLUSIVE) if undecided else (Verdict.REJECTED, Outcome.FAILED)
    replay = Outcome.PASSED if replays_exact and exact else outcome
    return Judgement(verdict, (*undecided, *_differences(evidence)), _initial(evidence, outcome), replay, seen)


def judge_numbers(by_bits: Judgement, compared: Sequence[Compared], exact: int, unit: str) -> Judgement:
    """Judge by numbers what bits could not decide.

    Args:
        by_bits: the inconclusive judgement.
        compared: everything that was not reproduced bit for bit, the initial state among it; and after it, if all of
            that passes, what was.
        exact: how many challenged units were.
        unit: of the challenge; one comparison may be about several.
    """
    outcomes = {each.outcome for each in compared}
    challenged = [each for each in compared if not (each.is_initial or each.equal)]
    close = sum(each.passed for each in challenged)
    what = "steps" if unit == "step" else "runs of steps between checkpoints"
    bits = f"{exact} {unit}s bit for bit, " if exact else ""
    seen = f"{bits}{close} of {len(challenged)} {'other ' if exact else ''}{what} within the tolerance"
    # Nothing is accepted because nothing was looked at: without a challenged unit there is nothing to accept.
    if outcomes == {Outcome.PASSED} and (exact or challenged):
        reason = f"all challenged {unit}s were reproduced: {seen} that was calibrated on this machine"
        opened = by_bits.initial is not Outcome.NOT_REACHED
        first = Outcome.PASSED if opened else Outcome.NOT_REACHED
        return Judgement(Verdict.ACCEPTED, (reason,), first, Outcome.PASSED, seen)
    failed = Outcome.FAILED in outcomes
    verdict, worst = (Verdict.REJECTED, Outcome.FAILED) if failed else (Verdict.INCONCLUSIVE, Outcome.INCONCLUSIVE)
    reasons = [describe_comparison(each, unit) for each in compared if each.outcome is worst]
    of_initial = [each.outcome for each in compared if each.is_initial]
    # The worst of them, since one failed comparison makes the stage a failed one.
    replay = max((each.outcome for each in compared if not each.is_initial), key=_RANKS.index, default=Outcome.PASSED)
    initial = of_initial[0] if of_initial else by_bits.initial
    return Judgement(verdict, (*reasons, *by_bits.reasons), initial, replay, seen)


def with_origin_doubt(judgement: Judgement, doubt: str | None) -> Judgement:
    """Leave open where the initial state comes from, for the reason ``doubt``: such a proof is at best inconclusive."""
    if doubt is None:
        return judgement
    # False steps stay false, wherever the run came from (section 13.3).
    verdict = judgement.verdict if judgement.verdict is Verdict.REJECTED else Verdict.INCONCLUSIVE
    initial = max(judgement.initial, Outcome.INCONCLUSIVE, key=_RANKS.index)
    reasons = (f"{Stage.INITIAL_STATE}: {doubt}", *judgement.reasons)
    return replace(judgement, verdict=verdict, reasons=reasons, initial=initial)


_RANKS: Final = (Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.FAILED)


def _stage_of(compared: Compared) -> Stage:
    return Stage.INITIAL_STATE if compared.is_initial else Stage.REPLAY


def describe_comparison(compared: Compared, unit: str) -> str:
    """Say what comes of a comparison that did not pass, with its first reason."""
    stage, what = _stage_of(compared), describe_steps(compared.span)
    why = compared.reasons[0] if compared.reasons else ""
    several = compared.stop > compared.start + 1
    other = "are not what" if several else "is not what"
    word = f"{other} this machine gives" if compared.outcome is Outcome.FAILED else "can't be judged here"
    open_steps = several and unit == "segment" and compared.outcome is Outcome.INCONCLUSIVE
    cure = "; single steps can be judged more sharply: ask for an opening"
    return f"{stage}: {what} {word}: {why}{cure if open_steps else ''}"


def _initial(evidence: Evidence, otherwise: Outcome) -> Outcome:
    if evidence.initial_exact is None:
        return Outcome.NOT_REACHED
    return Outcome.PASSED if evidence.initial_exact else otherwise


def _differences(evidence: Evidence) -> list[str]:
    lines = []
    if evidence.initial_exact is False:
        lines.append(f"{Stage.INITIAL_STATE}: the init program gives another initial state under the key of step 0")
    parts = [("self-test of ", evidence.self_test), *(("", segment) for segment in evidence.segments)]
    differing = [
        f"{Stage.REPLAY}: {name}{describe_mismatch(part.span, part.mismatch, part.fields)}"
        for name, part in parts
        if part and part.mismatch is not None
    ]
    return lines + list(dict.fromkeys(differing))  # segments on one route have the difference that ended it


def _why_undecided(evidence: Evidence) -> list[str]:
    """Return why differences on this backend say nothing, in one line; empty if they mean a rejection."""
    begin = f"{Stage.REPLAY}: cannot judge exactly here:"
    if not _differences(evidence):
        return [f"{begin} no {evidence.unit} was replayed"]
    # Reason 1 of section 13.1: a backend that contradicts itself contradicts nobody else.
    if not evidence.repeatable:
        return [f"{begin} this backend gives other bits when it repeats a step"]
    # Reason 2: another processor, library or flag has other bits for honest steps too.
    if evidence.environment_differences:
        listed = "; ".join(evidence.environment_differences)
        if evidence.exact_arithmetic:
            return [f"{begin} {listed}"]
        return [f"{begin} this is not the prover's backend ({listed})"]
    if evidence.exact_arithmetic:
        return []
    # Reason 3: environments that look equal may still differ in what nobody records. A backend that never got the bits
    # of this program has not shown that it could.
    if not any(part and part.exact for part in (evidence.self_test, *evidence.segments)):
        neither = "no challenged" if evidence.self_test is None else "neither the self-test nor any challenged"
        return [f"{begin} this backend reproduces {neither} {evidence.unit}"]
    return []
