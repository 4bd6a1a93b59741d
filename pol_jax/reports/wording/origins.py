"""These functions say in words where an initial state comes from, and what was found about it and earlier proofs."""

from __future__ import annotations

from typing import Final

from pol_jax.errors import printable
from pol_jax.reports.outcomes import Mode
from pol_jax.reports.provenance import Ancestor, Beginning, Provenance
from pol_jax.reports.states import KolmogorovSmirnov
from pol_jax.reports.wording.coverage import describe_coverage
from pol_jax.reports.wording.quantities import short_claim


def describe_provenance(provenance: Provenance) -> str:
    """Return where an initial state comes from."""
    if provenance.beginning is Beginning.OWN_KEY:
        return "all leaves come from the run's own key"
    several = f"{len(provenance.taken)} of {provenance.leaves} leaves ({provenance.values} values)"
    if provenance.beginning is Beginning.UNPROVEN_WEIGHTS:
        return f"{several} are of unproven origin; all others come from the run's own key"
    parent = short_claim(provenance.claim or "")
    return f"{several} come from the final state of {parent}; all others from the run's own key"


def describe_ancestor(ancestor: Ancestor) -> str:
    """Return the verdict on an earlier proof, and how much of it was checked."""
    task = "" if ancestor.task is None else f" of {printable(ancestor.task)}"
    verdict = ancestor.verdict + _HOW[ancestor.mode]
    if ancestor.coverage is None:
        return f"earlier proof{task}, {short_claim(ancestor.claim)}: {verdict}"
    covered = describe_coverage(ancestor.coverage, ancestor.policy)
    return f"earlier proof{task}, {short_claim(ancestor.claim)}: {verdict}; {covered}"


def describe_test(test: KolmogorovSmirnov) -> str:
    """Return what a statistical test of an initial state found."""
    smallest = f"smallest corrected p-value {test.smallest_p:.2g}"
    return f"Kolmogorov-Smirnov test of the random leaves ({test.leaves}): {smallest}"


_HOW: Final = {None: "", Mode.BITS: ", bit for bit", Mode.TOLERANCE: " within a tolerance"}
