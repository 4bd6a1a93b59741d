"""This section says what was replayed, how likely that was to meet a false segment, and how to repeat the draw."""

from __future__ import annotations

from pol_jax.protocol.stages import Stage
from pol_jax.reports.coverage import Replay
from pol_jax.reports.html.markup import Markup, tag, together
from pol_jax.reports.html.strip import CellResult, Place, strip
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.reports.wording.coverage import describe_coverage, describe_replay
from pol_jax.reports.wording.drift import describe_drift
from pol_jax.reports.wording.policies import describe_policy
from pol_jax.reports.wording.repetition import repeating_command

_MOST_LISTED = 20


def coverage(report: Report) -> Markup:
    """Return the section."""
    return tag("section", tag("h2", "Coverage"), *_replayed(report), *_drift(report), _draw(report))


def _drift(report: Report) -> list[Markup]:
    lines = describe_drift(report)
    title = tag("h3", "What could still be false")
    return [title, tag("ul", *(tag("li", _sentence(line)) for line in lines), class_="plain")] if lines else []


def _replayed(report: Report) -> list[Markup]:
    if report.coverage is None:
        ended = next((each for each in report.stages if each.outcome is not Outcome.PASSED), None)
        where = f" It ended in {Stage(ended.number)}." if ended else ""
        return [tag("p", f"The verification drew no segments and replayed nothing.{where}")]
    sentence = describe_coverage(report.coverage, report.policy)
    unit, states = report.coverage.unit, [_state(replay, report) for replay in report.replays]
    cells = dict(zip((_place(replay, unit) for replay in report.replays), states, strict=True))
    # Where bits differ, the comparison as numbers says more than the replay, and takes its place.
    for each in report.compared:
        cells |= {(segment, segment + 1): _STATES[each.outcome] for segment in each.segments}
    parts = [tag("p", f"{_sentence(sentence)}."), strip(report.coverage, [*cells], [*cells.values()])]
    pairs = zip(report.replays, states, strict=True)
    differing = [replay for replay, state in pairs if state in (CellResult.FALSE, CellResult.OPEN)]
    lines = [_line(replay, unit) for replay in differing[:_MOST_LISTED]]
    lines += [f"{len(differing) - _MOST_LISTED} more {unit}s differ"] if len(differing) > _MOST_LISTED else []
    if report.self_test:
        lines.append(f"Self-test of this machine, {describe_replay(report.self_test)}")
    return [*parts, tag("ul", *(tag("li", line) for line in lines), class_="plain")] if lines else parts


def _state(replay: Replay, report: Report) -> CellResult:
    """Return how the strip shows a replay.

    Where bits differ, the comparison within a tolerance decides. Without one, the verdict tells what the difference
    means: on another backend than the prover's, none can be drawn from it.
    """
    if replay.mismatch is None:
        return CellResult.EXACT
    undecided = Outcome.INCONCLUSIVE if report.verdict is Verdict.INCONCLUSIVE else Outcome.FAILED
    of_step = report.coverage is not None and report.coverage.unit == "step"
    outcomes = [
        each.outcome
        for each in report.compared
        if replay.segment in each.segments or (of_step and each.span == replay.span)
    ]
    return _STATES[outcomes[0] if outcomes else undecided]


def _place(replay: Replay, unit: str) -> Place:
    if unit == "segment":
        return replay.segment, replay.segment + 1
    # Places are counted from 0 and steps from 1: step t has the place t - 1, that of the state before it.
    return replay.start, max(replay.start, replay.stop)


_STATES = {
    Outcome.PASSED: CellResult.CLOSE,
    Outcome.INCONCLUSIVE: CellResult.OPEN,
    Outcome.FAILED: CellResult.FALSE,
}


def _line(replay: Replay, unit: str) -> str:
    words = describe_replay(replay)
    return f"Segment {replay.segment}, {words}" if unit == "segment" else _sentence(words)


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _draw(report: Report) -> Markup:
    command = Markup(" \\\n  ").join(map(together, repeating_command(report)))
    entries = (
        ("Policy", describe_policy(report.policy)),
        *(
            [("Exact", "The verifier asked for equal bits only: nothing is accepted within a tolerance")]
            if report.exact
            else []
        ),
        ("Nonce", tag("code", report.nonce)),
        *([("Round", report.public_draw.describe())] if report.public_draw else []),
        ("To repeat this", tag("pre", tag("code", Markup(command)))),
    )
    return tag("dl", *(together(tag("dt", name), tag("dd", value)) for name, value in entries))
