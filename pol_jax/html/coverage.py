"""What was replayed, how surely that meets a false segment, and how anyone draws the same segments again."""

from __future__ import annotations

from pol_jax.challenge import ListedSteps, StepPolicy
from pol_jax.html.markup import Markup, tag, together
from pol_jax.html.strip import State, strip
from pol_jax.report import STAGES, Outcome, Replay, Report, Verdict
from pol_jax.tolerance import Closeness
from pol_jax.wording import describe_coverage, describe_policy, describe_replay, options

_MOST_LISTED = 20


def coverage(report: Report) -> Markup:
    """The section."""
    return tag("section", tag("h2", "Coverage"), *_replayed(report), _draw(report))


def _replayed(report: Report) -> list[Markup]:
    if report.coverage is None:
        ended = next((each for each in report.stages if each.outcome is not Outcome.PASSED), None)
        where = f" It ended in stage {ended.number}, {STAGES[ended.number - 1]}." if ended else ""
        return [tag("p", f"The verification drew no segments, and replayed nothing.{where}")]
    sentence = describe_coverage(report.coverage, report.policy)
    unit, states = report.coverage.unit, [_state(replay, report) for replay in report.replays]
    found = [tag("p", f"{sentence[0].upper()}{sentence[1:]}."), strip(report.coverage, report.replays, states)]
    pairs = zip(report.replays, states, strict=True)
    false = [replay for replay, state in pairs if state in (State.FALSE, State.OPEN)]
    lines = [_line(replay, unit) for replay in false[:_MOST_LISTED]]
    lines += [f"{len(false) - _MOST_LISTED} more {unit}s differ"] if len(false) > _MOST_LISTED else []
    if report.self_test:
        lines.append(f"Self-test, {describe_replay(report.self_test)}")
    return [*found, tag("ul", *(tag("li", line) for line in lines), class_="plain")] if lines else found


def _state(replay: Replay, report: Report) -> State:
    """What came of a replay; bits that differ on another backend say nothing, if no comparison does."""
    if replay.mismatch is None:
        return State.EXACT
    outcomes = {each.stop: each.outcome for each in report.compared if each.start >= 0}
    undecided = Closeness.INCONCLUSIVE if report.verdict is Verdict.INCONCLUSIVE else Closeness.FAILED
    return _STATES[outcomes.get(replay.stop, undecided)]


_STATES = {
    Closeness.PASSED: State.CLOSE,
    Closeness.INCONCLUSIVE: State.OPEN,
    Closeness.FAILED: State.FALSE,
}


def _line(replay: Replay, unit: str) -> str:
    words = describe_replay(replay)
    return f"Segment {replay.segment}, {words}" if unit == "segment" else f"{words[0].upper()}{words[1:]}"


def _draw(report: Report) -> Markup:
    what = "CLAIM --opening FILE" if isinstance(report.policy, StepPolicy) else "PROOF"
    lines = [f"pol verify {what}", options(report.policy)]
    lines += [f"--nonce {report.nonce}"] if not isinstance(report.policy, ListedSteps) else []
    command = Markup(" \\\n  ").join(map(together, lines))
    entries = (
        ("Policy", describe_policy(report.policy)),
        ("Nonce", tag("code", report.nonce)),
        ("To repeat the draw", tag("pre", tag("code", Markup(command)))),
    )
    return tag("dl", *(together(tag("dt", name), tag("dd", value)) for name, value in entries))
