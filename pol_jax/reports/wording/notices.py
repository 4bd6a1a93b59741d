"""Notices come before the reasons for a verdict: they say what nobody has shown, or only within a tolerance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from pol_jax.errors import printable
from pol_jax.protocol.claim import Intervention
from pol_jax.reports.dependence import NOMINAL, Dependence
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.reports.provenance import Ancestor, Beginning, Origin, Provenance
from pol_jax.reports.report import Report
from pol_jax.reports.states import NonFinite
from pol_jax.reports.wording.quantities import few_paths, percent, short_claim, with_shares


def notices(report: Report) -> tuple[str, ...]:
    """Return what comes before the reasons for a verdict: what nobody has shown, or only within a tolerance."""
    early = report.verdict is Verdict.ACCEPTED and report.may_stop_early is True
    unknown = report.verdict is Verdict.ACCEPTED and report.program_origin is Origin.NOT_COMPARED
    # Section 13.1 asks for these, and for what is not finite before all else; for some of them only in an acceptance.
    return (
        *_not_finite(report.non_finite),
        *map(_intervened, report.interventions),
        *(_intervened(each, a.claim) for a in report.ancestors for each in a.interventions),
        *_tolerant(report.ancestors),
        *_unproven(report.provenance, report.ancestors),
        *(["program: not compared with any source"] if unknown else []),
        *(_other_programs(report) if report.verdict is Verdict.ACCEPTED else []),
        *_nominal(report.dependence),
        *_left_out(report.leaves),
        *(["the prover chose where the run ends: the commitment has a largest number of steps only, or none"] * early),
        *(_chosen_ends(report.ancestors) if report.verdict is Verdict.ACCEPTED else []),
    )


def first_reason(report: Report) -> str:
    """Return the first reason for the verdict of a report, which comes after the notices."""
    for_verdict = report.reasons[len(notices(report)) :] or report.reasons[-1:]
    return for_verdict[0] if for_verdict else "no reason given"


def _other_programs(report: Report) -> list[str]:
    """Return the earlier runs whose program is not one that the verifier trusts, where that is not said already."""
    # If nothing was compared for the run itself, that was said; a program that differs is named for each run.
    said = {Origin.TRUSTED, report.program_origin} - {Origin.DIFFERS}
    return [
        f"program of the run of {short_claim(each.claim)}, which the initial state comes from: "
        f"{_ORIGINS[each.program_origin]}"
        for each in report.ancestors
        if each.program_origin not in said
    ]


def _chosen_ends(ancestors: Sequence[Ancestor]) -> list[str]:
    """Return the earlier runs whose prover could choose where they end, one line each."""
    return [
        f"the prover chose where the run of {short_claim(each.claim)} ends, which the initial state comes from"
        for each in ancestors
        if each.may_stop_early
    ]


def _nominal(found: Dependence | None) -> list[str]:
    """Return a warning of updates that are hardly those of the records, or of the model."""
    if found is None:
        return []
    tried = (
        ("the records", "a batch", found.batch, found.batch_leaf),
        ("the state", "a state", found.state, found.state_leaf),
    )
    return [
        f"warning: the update of leaf {printable(leaf or '/', 60)} hardly depends on {what}: {other} with its numbers "
        f"in other places changes it by {percent(share)} (step {found.step})"
        for what, other, share, leaf in tried
        if share is not None and share < NOMINAL
    ]


def _left_out(leaves: Sequence[str]) -> list[str]:
    """Return what was not held against the run, if the verifier named the leaves that matter."""
    if not leaves:
        return []
    named = ", ".join(printable(each, 60) for each in leaves[:4]) + (" ..." if len(leaves) > 4 else "")
    return [f"only {named} matter to the verifier: what tolerances add up to in other leaves is not bounded"]


def _intervened(intervention: Intervention, earlier: str | None = None) -> str:
    """Return a warning of a change of the state that no program made, in the run or in an ``earlier`` one."""
    paths = ", ".join(printable(path or "/", 60) for path in intervention.leaves[:4])
    more = f" and {len(intervention.leaves) - 4} more" if len(intervention.leaves) > 4 else ""
    whose = f" of the run of {short_claim(earlier)}" if earlier else ""
    return (
        f"after step {intervention.after}{whose} the state was changed from outside the program ({paths}{more}), and"
        f" nothing shows where the new values come from; the prover's reason: {printable(intervention.reason, 256)}"
    )


def _not_finite(leaves: Sequence[NonFinite]) -> list[str]:
    """Return a warning of a final state that holds NaNs or infinities."""
    if not leaves:
        return []
    values, few = sum(each.values for each in leaves), leaves[:4]
    listed = ", ".join(f"{printable(each.path or '/', 60)}: {each.values} of {each.size}" for each in few)
    more = f", and {len(leaves) - len(few)} more leaves" if len(leaves) > len(few) else ""
    return [f"warning: the final state is not finite: {values} values are NaN or infinite ({listed}{more})"]


def _tolerant(ancestors: Sequence[Ancestor]) -> list[str]:
    """Return the earlier proofs that were accepted within a tolerance, one line each."""
    return [
        f"the initial state comes from the run of {short_claim(each.claim)}, which was accepted within a tolerance: "
        f"errors that it allows could add up to {_possible_deviation(each)}"
        for each in ancestors
        if each.mode is Mode.TOLERANCE
    ]


def _possible_deviation(ancestor: Ancestor) -> str:
    """Return how far tolerances could have led an earlier run astray."""
    if ancestor.drift is None or not math.isfinite(ancestor.tolerated):
        return "any distance"
    return with_shares(ancestor.tolerated, ancestor.drift) if ancestor.tolerated else "no more than those before it"


def _unproven(provenance: Provenance | None, ancestors: Sequence[Ancestor]) -> list[str]:
    """Return what no verification has shown about the initial state, or about one that it comes from; one line each."""
    verified, lines = {each.claim for each in ancestors}, list[str]()
    for whose, each in (
        ("training", provenance),
        *((f"the run of {short_claim(a.claim)}", a.provenance) for a in ancestors),
    ):
        if each is None:
            continue
        if each.beginning is Beginning.UNPROVEN_WEIGHTS:
            lines.append(
                f"{whose} starts from weights of unproven origin: {few_paths(each.taken)}; {each.values} values with "
                f"the digest {each.digest}"
            )
        elif each.claim is not None and each.claim not in verified:
            lines.append(f"{whose} starts from the run with the claim {each.claim}, which was not verified here")
    return lines


_ORIGINS: Final = {
    Origin.NOT_COMPARED: "not compared with any source",
    Origin.DIFFERS: "differs from the trusted source",
}
