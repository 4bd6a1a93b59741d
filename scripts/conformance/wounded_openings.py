"""Openings with one wound each, beside the honest ones (docs/protocol.md, section 14)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from conformance.bases import VERSION_1, bases
from conformance.cases import Case, End
from conformance.opening_drafts import OpeningDraft
from conformance.opening_wounds import CHANGED, PLAIN, READS_PROGRAMS, SALTED, TUNED, Change

OPENED = (1, 4)
"""Steps of ``plain`` that its opening answers for."""


def opening_cases(kit: Path) -> Iterator[Case]:
    """Yield the honest openings, and those with wounds."""
    for base in bases():
        if base.opened:
            yield _case(base.name, f"opening of {base.name}", base.opened, End("success"))
    yield _case(VERSION_1, "opening of version 1, without row T", (1, 4), End("inconclusive", 8))
    yield _case("plain", "opening: a challenged step is left out", (3,), End("inconclusive", 8))
    for base_name, wounds in (("plain", PLAIN), ("salted", SALTED), ("changed", CHANGED), ("tuned", TUNED)):
        steps = next(base.opened for base in bases() if base.name == base_name)
        for name, stage, names, change in wounds:
            ends = {0: End("success"), 8: End("inconclusive", 8, names or None)}
            end = ends.get(stage, End("refused", stage, names or None))
            yield _drafted(kit, base_name, f"opening: {name}", steps, end, change)
    for name, stage, names, change in READS_PROGRAMS:
        made = _drafted(kit, "plain", f"opening: {name}", OPENED, End("refused", stage, names), change)
        yield replace(made, asked={**made.asked, "reads_programs": True})


def _case(base: str, name: str, steps: Sequence[int], expected: End, put: dict[str, bytes] | None = None) -> Case:
    asked = {"claim": f"proofs/{base}/claim.json", "steps": list(steps)}
    return Case(name, name, "opening", expected, f"proofs/{base}.opening", put or {}, asked=asked)


def _drafted(kit: Path, base: str, name: str, steps: Sequence[int], expected: End, change: Change) -> Case:
    root = kit / "proofs" / base
    draft = OpeningDraft(root)
    change(draft)
    opening, claim = draft.finish()
    made = {"opening": (root.with_suffix(".opening"), opening), "claim.json": (root / "claim.json", claim)}
    put = {each: content for each, (path, content) in made.items() if path.read_bytes() != content}
    return _case(base, name, steps, expected, put)
