"""From what the replays gave to a verdict. Rules without IO.

Exact replay can accept anywhere: a forger can't match bits by luck. It may reject only where this backend has shown
that it is the prover's: the environments are equal, and it reproduces this very program on the self-test or on another
segment. Anywhere else a difference says nothing, and the verdict is inconclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol.stages import Stage
from pol_jax.reports.report import Compared, Outcome, Verdict
from pol_jax.reports.wording import describe_mismatch, describe_steps


@dataclass(frozen=True)
class Evidence:
    """What was seen on this backend.

    Attributes:
        environment_differences: between the claimed environment and this one, one line each.
        initial_exact: the initial state came out bit for bit; None where an opening leaves it out.
        self_test: the replay of the first steps; None for an opening, which has none.
        segments: what the replays say of each challenged segment; one that was not reached is as one that differs.
        repeatable: a mismatch came out the same when replayed again; True when there was none.
        unit: of the challenge.
    """

    environment_differences: Sequence[str]
    initial_exact: bool | None
    self_test: ReplayResult | None
    segments: Sequence[ReplayResult]
    repeatable: bool
    unit: str = "segment"


@dataclass(frozen=True)
class Judgement:
    """A verdict with its reasons, the outcomes of the stages 7 and 9, and what stage 9 saw."""

    verdict: Verdict
    reasons: tuple[str, ...]
    initial: Outcome
    replay: Outcome
    seen: str = ""


def judge_bits(evidence: Evidence) -> Judgement:
    """The verdict on a proof that passed all checks before the replay."""
    exact = [segment for segment in evidence.segments if segment.exact]
    seen = f"{len(exact)} of {len(evidence.segments)} {evidence.unit}s bit for bit"
    self_test_exact = evidence.self_test is None or evidence.self_test.exact
    replays_exact = self_test_exact and len(exact) == len(evidence.segments)
    if evidence.initial_exact is not False and replays_exact and exact:
        initial = "the initial state and " if evidence.initial_exact else ""
        those = (
            f"the challenged {evidence.unit}" if len(exact) == 1 else f"all {len(exact)} challenged {evidence.unit}s"
        )
        reason = f"{initial}{those} came out bit for bit"
        return Judgement(Verdict.ACCEPTED, (reason,), _initial(evidence, Outcome.PASSED), Outcome.PASSED, seen)
    doubt = _doubt(evidence)
    verdict, outcome = (Verdict.INCONCLUSIVE, Outcome.INCONCLUSIVE) if doubt else (Verdict.REJECTED, Outcome.FAILED)
    replay = Outcome.PASSED if replays_exact and exact else outcome
    return Judgement(verdict, (*doubt, *_differences(evidence)), _initial(evidence, outcome), replay, seen)


def judge_numbers(exactly: Judgement, compared: Sequence[Compared], exact: int, unit: str) -> Judgement:
    """The verdict where bits could say nothing, from what was compared within a calibrated tolerance.

    Args:
        exactly: the inconclusive judgement by bits.
        compared: all that did not come out bit for bit, the initial state among it.
        exact: how many challenged units did.
        unit: of the challenge; one comparison may be of several.
    """
    outcomes = {each.outcome for each in compared}
    challenged = [each for each in compared if not each.is_initial]
    close = sum(each.outcome is Outcome.PASSED for each in challenged)
    what = "steps" if unit == "step" else "stretches"
    bits = f"{exact} {unit}s bit for bit, " if exact else ""
    seen = f"{bits}{close} of {len(challenged)} {'other ' if exact else ''}{what} within the tolerance"
    if outcomes == {Outcome.PASSED} and (exact or challenged):
        reason = f"all challenged {unit}s came out: {seen}, calibrated on this machine"
        opened = exactly.initial is not Outcome.NOT_REACHED
        first = Outcome.PASSED if opened else Outcome.NOT_REACHED
        return Judgement(Verdict.ACCEPTED, (reason,), first, Outcome.PASSED, seen)
    failed = Outcome.FAILED in outcomes
    verdict, worst = (Verdict.REJECTED, Outcome.FAILED) if failed else (Verdict.INCONCLUSIVE, Outcome.INCONCLUSIVE)
    reasons = [_far(each, unit) for each in compared if each.outcome is worst]
    of_initial = [each.outcome for each in compared if each.is_initial]
    replay = max((each.outcome for each in challenged), key=_RANKS.index, default=Outcome.PASSED)
    initial = of_initial[0] if of_initial else exactly.initial
    return Judgement(verdict, (*reasons, *exactly.reasons), initial, replay, seen)


def doubted(judgement: Judgement, doubt: str | None) -> Judgement:
    """A judgement that leaves open where the initial state comes from, for the reason ``doubt``: none accepts."""
    if doubt is None:
        return judgement
    verdict = judgement.verdict if judgement.verdict is Verdict.REJECTED else Verdict.INCONCLUSIVE
    initial = max(judgement.initial, Outcome.INCONCLUSIVE, key=_RANKS.index)
    reasons = (f"{Stage.INITIAL_STATE}: {doubt}", *judgement.reasons)
    return replace(judgement, verdict=verdict, reasons=reasons, initial=initial)


_RANKS: Final = (Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.FAILED)


def _stage_of(compared: Compared) -> Stage:
    return Stage.INITIAL_STATE if compared.start < 0 else Stage.REPLAY


def _far(compared: Compared, unit: str) -> str:
    stage, what = _stage_of(compared), describe_steps(compared.start, compared.stop)
    why = compared.reasons[0] if compared.reasons else ""
    several = compared.stop > compared.start + 1
    other = "are not what" if several else "is not what"
    word = f"{other} this machine gives" if compared.outcome is Outcome.FAILED else "can't be judged here"
    open_steps = several and unit == "segment" and compared.outcome is Outcome.INCONCLUSIVE
    cure = "; single steps can be judged more sharply: ask for an opening (pol challenge, pol open)"
    return f"{stage}: {what} {word}: {why}{cure if open_steps else ''}"


def _initial(evidence: Evidence, otherwise: Outcome) -> Outcome:
    if evidence.initial_exact is None:
        return Outcome.NOT_REACHED
    return Outcome.PASSED if evidence.initial_exact else otherwise


def _differences(evidence: Evidence) -> list[str]:
    lines = []
    if evidence.initial_exact is False:
        lines.append(f"{Stage.INITIAL_STATE}: the init program gives another one under the key of step 0")
    parts = [("self-test of ", evidence.self_test), *(("", segment) for segment in evidence.segments)]
    differing = [
        f"{Stage.REPLAY}: {name}{describe_mismatch(part.span.start, part.span.stop, part.mismatch, part.fields)}"
        for name, part in parts
        if part and part.mismatch is not None
    ]
    return lines + list(dict.fromkeys(differing))  # segments that one replay was to reach have one difference


def _doubt(evidence: Evidence) -> list[str]:
    """Why differences on this backend say nothing about the proof; empty if they do."""
    here = f"{Stage.REPLAY}: cannot judge exactly here:"
    if not _differences(evidence):
        return [f"{here} no {evidence.unit} was replayed"]
    if not evidence.repeatable:
        return [f"{here} this backend gives other bits when it repeats a step"]
    if evidence.environment_differences:
        listed = "; ".join(evidence.environment_differences)
        return [f"{here} this is not the prover's backend ({listed})"]
    if not any(part and part.exact for part in (evidence.self_test, *evidence.segments)):
        neither = "no challenged" if evidence.self_test is None else "neither the self-test nor any challenged"
        return [f"{here} this backend reproduces {neither} {evidence.unit}"]
    return []
