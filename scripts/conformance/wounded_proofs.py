"""Proofs with one wound each, beside the honest ones (docs/protocol.md, section 13, stages 1 to 7)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from conformance.bases import VERSION_1, bases
from conformance.cases import Case, End
from conformance.checkpoints import KeptTree, checkpoints
from conformance.drafts import Draft
from conformance.parquet_files import rewritings
from conformance.programs import damaged_module, programs
from conformance.proof_changes import Change, put, together, without
from conformance.proof_wounds import BESIDE, CHANGED, LAST, PLAIN, SEGMENT, SIGNATURES, STEP, THINNED, TUNED
from conformance.row_wounds import Kept, row_wounds


def proof_cases(kit: Path, kept: Kept, kept_tree: KeptTree) -> Iterator[Case]:
    """Yield the honest proofs, and those with wounds."""
    for base in bases():
        parents = {"earlier": [f"proofs/{base.parent}"]} if base.parent else {}
        yield Case(base.name, base.about, "proof", End("success"), f"proofs/{base.name}", asked=parents)
    yield Case("version 1", "a proof of version 1", "proof", End("success"), f"proofs/{VERSION_1}")
    yield _chain_without_its_beginning()
    for name, change in BESIDE:
        yield _drafted(kit, "plain", name, End("success"), change)
    for start, wounds in (("plain", PLAIN), ("changed", CHANGED), ("tuned", TUNED), ("thinned", THINNED)):
        for name, stage, names, change in wounds:
            yield _drafted(kit, start, name, End("refused", stage, names), change)
    for name, stage, names, change in SIGNATURES:
        yield _drafted(kit, "plain", name, End("refused", stage, names), change, reads_programs=True)
    for name, stage, names, change in row_wounds(kept):
        yield _drafted(kit, "plain", name, End("refused", stage, names), change)
    for name, stage, names, artifact in programs(kit / "proofs" / "plain", kept):
        change = partial(Draft.program, artifact=artifact)
        yield _drafted(kit, "plain", name, End("refused", stage, names), change, reads_programs=True)
    damaged = damaged_module(kit / "proofs" / "plain")
    name = "a program whose module can't be read, and is of another StableHLO than any jax writes"
    change = partial(Draft.program, artifact=damaged.replace(b"StableHLO_v1", b"StableHLO_v9"))
    yield _drafted(kit, "plain", name, End("inconclusive", 3, STEP), change, reads_programs=True)
    for name, files in checkpoints(kit / "proofs" / "plain", kept_tree):
        files_in = [put(f"{LAST}/{each}", content) for each, content in files.items()]
        yield _drafted(kit, "plain", name, End("refused", 6, LAST), together(without(LAST), *files_in))
    for name, right, content in rewritings(kit / "proofs" / "plain" / SEGMENT, kept):
        end = End("success") if right else End("refused", 4, SEGMENT)
        yield _drafted(kit, "plain", name, end, put(SEGMENT, content))


def _chain_without_its_beginning() -> Case:
    name = "a chain whose earlier proof is not given"
    return Case(name, name, "proof", End("inconclusive", 7, "initial"), "proofs/tuned")


def _drafted(kit: Path, base: str, name: str, expected: End, change: Change, *, reads_programs: bool = False) -> Case:
    draft = Draft(kit / "proofs" / base)
    change(draft)
    made = draft.finish()
    before = {path.relative_to(draft.root).as_posix(): path for path in draft.root.rglob("*") if path.is_file()}
    for gone in ("commitment.json", "claim.json", "inventory.json"):
        if gone in draft.gone:
            made.pop(gone)
    other = {
        each: content for each, content in made.items() if each not in before or before[each].read_bytes() != content
    }
    remove = tuple(sorted(before.keys() - made.keys()))
    asked: dict[str, Any] = {"earlier": ["proofs/plain"]} if base == "tuned" else {}
    asked |= {"reads_programs": True} if reads_programs else {}
    return Case(
        name, name, "proof", expected, f"proofs/{base}", other, remove, draft.links, tuple(draft.folders), asked
    )
