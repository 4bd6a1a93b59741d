"""What was replayed, how surely that meets a false segment, and how anyone draws the same segments again."""

from __future__ import annotations

from pol_jax.challenge import ListedSteps, StepPolicy
from pol_jax.html.markup import Markup, tag, together
from pol_jax.html.strip import strip
from pol_jax.report import STAGES, Outcome, Report
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
    close = {each.stop for each in report.compared if each.passed}
    found = [tag("p", f"{sentence[0].upper()}{sentence[1:]}."), strip(report.coverage, report.replays, close)]
    unit = report.coverage.unit
    false = [replay for replay in report.replays if replay.mismatch is not None and replay.stop not in close]
    lines = [f"{unit.capitalize()} {replay.segment}, {describe_replay(replay)}" for replay in false[:_MOST_LISTED]]
    lines += [f"{len(false) - _MOST_LISTED} more {unit}s differ"] if len(false) > _MOST_LISTED else []
    if report.self_test:
        lines.append(f"Self-test, {describe_replay(report.self_test)}")
    return [*found, tag("ul", *(tag("li", line) for line in lines), class_="plain")] if lines else found


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
