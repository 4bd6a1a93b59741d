"""This section says where the initial state comes from, and what the verification of earlier proofs found."""

from __future__ import annotations

from pol_jax.reports.html.markup import Markup, tag, together
from pol_jax.reports.provenance import Beginning
from pol_jax.reports.report import Report
from pol_jax.reports.wording.origins import describe_ancestor, describe_provenance


def lineage(report: Report) -> Markup | None:
    """Return the section, or None if all leaves come from the run's own key."""
    provenance = report.provenance
    if provenance is None or provenance.beginning is Beginning.OWN_KEY:
        return None
    entries = (
        ("Taken over", ", ".join(path or "/" for path in provenance.taken)),
        ("Digest", tag("code", provenance.digest)),
        ("Claim", tag("code", provenance.claim) if provenance.claim else "none: the leaves are of unproven origin"),
    )
    return tag(
        "section",
        tag("h2", "Initial state"),
        tag("p", f"In the initial state, {describe_provenance(provenance)}."),
        tag("dl", *(together(tag("dt", name), tag("dd", value)) for name, value in entries)),
        tag("ul", *(tag("li", describe_ancestor(each)) for each in report.ancestors)) if report.ancestors else None,
    )
