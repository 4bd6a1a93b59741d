"""Where the initial state comes from, and what became of the earlier proofs that it leads to."""

from __future__ import annotations

from pol_jax.html.markup import Markup, tag, together
from pol_jax.report import Beginning, Report
from pol_jax.wording import describe_ancestor, describe_provenance, describe_test


def lineage(report: Report) -> Markup:
    """The section; nothing where all comes from the key, and nothing was tested."""
    provenance, test = report.provenance, report.initial_test
    if provenance is None or (provenance.beginning is Beginning.OWN_KEY and test is None):
        return Markup("")
    parts = [tag("p", f"It comes {describe_provenance(provenance)}.")]
    if provenance.digest is not None:
        entries = (
            ("Taken over", ", ".join(path or "/" for path in provenance.taken)),
            ("Digest", tag("code", provenance.digest)),
            ("Claim", tag("code", provenance.claim) if provenance.claim else "none: of unproven origin"),
        )
        parts.append(tag("dl", *(together(tag("dt", name), tag("dd", value)) for name, value in entries)))
    if report.ancestors:
        parts.append(tag("ul", *(tag("li", describe_ancestor(each)) for each in report.ancestors)))
    if test is not None:
        parts.append(
            tag("p", f"{describe_test(test)}. For information: the verdict does not depend on it.", class_="note")
        )
    return tag("section", tag("h2", "Initial state"), *parts)
