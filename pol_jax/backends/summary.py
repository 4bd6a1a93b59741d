"""The terminal shows a comparison in a line for each backend, then what was not there, and what it means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pol_jax.backends.overview import Line, default_lines, label, lines, plain_text, relative, step_ranges
from pol_jax.backends.results import BackendOutcome, Results

_STATUS = {"missing": "not available"}


def backend_summary(
    parts: Sequence[Results], d_ref: int | float | None = None, *, narrow: bool = False
) -> RenderableType:
    """Return the whole summary.

    Args:
        parts: results of each machine, as `pol_jax.backends.results.merge` gives them.
        d_ref: reference distance (l2 between two trainings from other seeds), or None.
        narrow: whether a table has no room, so that numbers stand below their backend.
    """
    found = lines(parts)
    shown: list[RenderableType] = [*_head(parts, found), Text()]
    if found:
        legend = _LEGEND.format(d_ref="; /d_ref: the largest error divided by d_ref (l2)" if d_ref else "")
        shown += _below_each_other(found, d_ref) if narrow else [_table(found, d_ref)]
        shown += [Text(), Text(legend, style="dim"), Text()]
    shown += _failures(parts)
    shown += [Text(f"• {line}") for line in meaning(found)]
    return Group(*shown)


def _head(parts: Sequence[Results], found: Sequence[Line]) -> Iterator[Text]:
    steps = {each.stop for line in found for each in line.outcome.of("step")}
    yield Text(f"{plain_text(parts[0].task)}, claim {parts[0].claim[:16]}…, steps {step_ranges(steps) or 'none'}")
    for at, part in enumerate(parts, 1):
        number = f"[{at}] " if len(parts) > 1 else ""
        kinds = {
            f"{each.device_kind}, jaxlib {each.jaxlib}"
            for outcome in part.outcomes
            if (each := outcome.environment) is not None
        }
        yield Text(f"{number}{plain_text(part.machine)}: {plain_text('; '.join(sorted(kinds))) or 'nothing ran'}")


def _cells(line: Line, d_ref: int | float | None) -> dict[str, str]:
    """Return what is known of a backend, by the names of the columns."""
    steps, judged = line.outcome.of("step"), sum(line.judged.values())
    return {
        "bits": f"[{'green' if line.equal else 'yellow'}]{line.bits}[/]{'' if line.outcome.repeats else '?'}",
        "equal": f"{sum(each.exact for each in steps)}/{len(steps)}",
        "until": "-" if line.first_differing is None else str(line.first_differing),
        "step": _number(relative(line.worst_step.total)),
        "segment": _number(relative(max(line.segments, key=len)[-1].total)) if line.segments else "-",
        **({"/d_ref": _number(_over(line, d_ref))} if d_ref else {}),
        "passed": f"{line.judged.get('passed', 0)}/{judged}" if judged else "-",
        "steps/s": _speed(line.outcome),
    }


def _table(found: Sequence[Line], d_ref: int | float | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("backend", min_width=14)
    for name in _cells(found[0], d_ref):
        table.add_column(name, justify="left" if name == "bits" else "right", no_wrap=True)
    for line in found:
        # Names are in a file that may be anybody's: markup in them is shown and not obeyed.
        table.add_row(escape(line.label), *_cells(line, d_ref).values())
    return table


def _below_each_other(found: Sequence[Line], d_ref: int | float | None) -> Iterator[RenderableType]:
    """Return the lines of the table where a terminal would cut its columns."""
    for line in found:
        yield Text(line.label, "bold")
        known = ", ".join(f"{name} {value}" for name, value in _cells(line, d_ref).items())
        yield Padding(Text.from_markup(known), (0, 0, 0, 2))


_LEGEND = (
    "bits: backends with the same letter have the same bits in every state; A is the prover's letter; ? marks one that "
    "did not give the same bits twice. equal: how many single steps are equal. until: the first step that is not. "
    "step, segment: the largest error of a step, and the last error of the longest segment, divided by the update "
    "(l2){d_ref}. "
    "passed: how many of the steps that differ are within the tolerance of a verifier with this backend; a verifier "
    "asks for more than that, but also takes the decisions of an opening."
)


def _over(line: Line, d_ref: float) -> float:
    """Return the largest l2 error over the reference distance."""
    errors = [each.total.l2 for each in line.outcome.reproductions]
    return math.nan if None in errors else max(error for error in errors if error is not None) / d_ref


def _number(value: float) -> str:
    return "0" if value == 0 else "no number" if math.isnan(value) else f"{value:.1e}"


def _speed(outcome: BackendOutcome) -> str:
    return f"{1 / outcome.step_seconds:.3g}" if outcome.step_seconds else "-"


def _failures(parts: Sequence[Results]) -> Iterator[RenderableType]:
    """Return what did not run; backends with one reason share a line."""
    reasons = dict[tuple[str, str], list[str]]()
    for at, part in enumerate(parts, 1):
        for outcome in part.outcomes:
            if outcome.status != "ran":
                name = label(outcome, at if len(parts) > 1 else None)
                reasons.setdefault((outcome.status, plain_text(outcome.reason)), []).append(name)
    for (status, reason), names in reasons.items():
        yield Text.assemble(f"{'; '.join(names)}: ", (_STATUS.get(status, status), "yellow"), f": {reason}")
    if reasons:
        yield Text()


def meaning(found: Sequence[Line]) -> Iterator[str]:
    """Return what a reader should take from it, in sentences."""
    if not found:
        yield "no backend ran: nothing was measured"
        return
    for default in default_lines(found):
        if default.equal:
            yield f"{default.label}, as it comes, gives the prover's bits in every step and segment that was replayed"
        else:
            yield f"{default.label}, as it comes, gives other bits than the prover, from step {default.first_differing}"
    unstable = [line.label for line in found if not line.outcome.repeats]
    yield (
        f"not the same twice: {'; '.join(unstable)}" if unstable else "every backend that ran gave the same bits twice"
    )
    equal, other = [line for line in found if line.equal], [line for line in found if not line.equal]
    if equal:
        yield f"the prover's bits (A): {'; '.join(line.label for line in equal)}"
    if not other:
        yield "no backend here gives other bits; nothing is known of those that were not tried"
        return
    worst = max(other, key=lambda line: relative(line.worst_step.total))
    kinds = len({line.bits for line in other})
    yield (
        f"other bits: {kinds} {'kind' if kinds == 1 else 'kinds'}; the largest error of a step is "
        f"{_number(relative(worst.worst_step.total))} of its update ({worst.label}, step {worst.worst_step.stop})"
    )
    yield from _tolerance(other)


def _tolerance(other: Sequence[Line]) -> Iterator[str]:
    """Return whether an opening could be judged where bits differ."""
    counts = {
        outcome: sum(line.judged.get(outcome, 0) for line in other) for outcome in ("passed", "inconclusive", "failed")
    }
    total = sum(counts.values())
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    if counts["passed"] == total:
        yield f"all steps that differ are within the tolerance of a verifier with those backends ({told})"
    else:
        yield f"by the tolerance of a verifier with those backends, of the {total} steps that differ there: {told}"
    if counts["inconclusive"]:
        yield "inconclusive: its tolerance is too large for the update, or the error is beyond it; neither decides"
