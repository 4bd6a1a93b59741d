"""What a comparison came to, as tables in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from pol_jax import Verdict
from untrusted.elsewhere import Elsewhere
from untrusted.federation import Outcome

PROVEN: Final = "proven average"
ALONE: Final = "honest alone"
"""The names of two ways to aggregate: what proofs let in, and the honest workers without any other."""

Found: TypeAlias = dict[int, dict[str, Outcome]]
"""Outcomes by the number of Byzantine workers, and by the way to aggregate."""


def table(found: Mapping[int, Mapping[str, Outcome]]) -> str:
    """Return test accuracies, by the number of Byzantine workers."""
    names = list(next(iter(found.values())))
    lines = ([str(number), *(f"{row[name].accuracy:.3f}" for name in names)] for number, row in found.items())
    return _markdown(["Byzantine", *names], lines)


def costs(found: Mapping[int, Mapping[str, Outcome]]) -> str:
    """Return what the proofs let in and left out, and what a coordinator paid for it."""
    heads = ["Byzantine", "honest accepted", "honest left out", "Byzantine accepted", "Byzantine left out"]
    heads += ["steps replayed", "CPU s", "MB received", "MB received without proofs"]
    return _markdown(heads, (_cost(number, row) for number, row in found.items()))


def verdicts(found: Mapping[int, Mapping[str, Outcome]]) -> str:
    """Return what became of each behaviour in all settings, with a reason."""
    counts, reasons = dict[str, Counter[str]](), dict[str, str]()
    for row in found.values():
        for name, seen in row[PROVEN].verdicts.items():
            counts.setdefault(name, Counter()).update(seen)
        reasons.update(row[PROVEN].reasons)
    each = [str(verdict) for verdict in (Verdict.ACCEPTED, Verdict.REJECTED, Verdict.INCONCLUSIVE)]
    lines = ([name, *(str(seen[word]) for word in each), reasons.get(name, "")] for name, seen in counts.items())
    return _markdown(["behaviour", *each, "a reason"], lines)


def elsewhere_table(found: Iterable[Elsewhere]) -> str:
    """Return what became of honest workers under another XLA."""
    heads = ["an honest worker with", "verdict", "steps opened", "compared as numbers", "reason"]
    lines = ([each.build, each.verdict, str(each.opened), str(each.compared), each.reason] for each in found)
    return _markdown(heads, lines)


def _cost(number: int, row: Mapping[str, Outcome]) -> list[str]:
    proven = row[PROVEN]
    accepted = [proven.count(Verdict.ACCEPTED, byzantine) for byzantine in (False, True)]
    left_out = [
        sum(proven.count(verdict, byzantine) for verdict in (Verdict.REJECTED, Verdict.INCONCLUSIVE))
        for byzantine in (False, True)
    ]
    found = [str(count) for pair in zip(accepted, left_out, strict=True) for count in pair]
    costs = [f"{proven.replayed:.0%}", f"{proven.seconds:.0f}", f"{proven.megabytes:.1f}"]
    return [str(number), *found, *costs, f"{row['average'].megabytes:.1f}"]


def _markdown(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    rows = [list(heads), *(list(line) for line in lines)]
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
