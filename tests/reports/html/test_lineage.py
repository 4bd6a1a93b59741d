"""The section on the initial state is there where leaves were taken over, and says of what."""

from __future__ import annotations

from example_reports import Elements, unfinished

from pol_jax.protocol.policies import AllSegments
from pol_jax.reports.html.lineage import lineage
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.provenance import Ancestor, Beginning, Origin, Provenance


def test_a_run_from_its_own_key_has_no_lineage() -> None:
    assert lineage(unfinished()) is None
    assert lineage(unfinished(provenance=Provenance(Beginning.OWN_KEY, None, None, (), 0, 3))) is None


def test_leaves_digest_and_claim_are_named() -> None:
    taken = Provenance(Beginning.EARLIER_PROOF, "1" * 64, "2" * 64, ("", "/w"), 9, 3)
    ancestor = Ancestor("1" * 64, Verdict.REJECTED, (), "base", AllSegments(), None, None, Origin.TRUSTED)
    section = lineage(unfinished(provenance=taken, ancestors=(ancestor,)))
    assert section is not None
    text = Elements(section).text
    assert "In the initial state, 2 of 3 leaves (9 values) come from the final state of claim" in text
    assert f"Taken over/, /wDigest{'2' * 64}Claim{'1' * 64}" in text
    assert text.endswith(f"earlier proof of base, claim {'1' * 16}…: rejected")


def test_weights_have_no_claim() -> None:
    taken = Provenance(Beginning.UNPROVEN_WEIGHTS, None, "2" * 64, ("/w",), 6, 3)
    section = lineage(unfinished(provenance=taken))
    assert section is not None
    assert "none: the leaves are of unproven origin" in section
    assert "<li>" not in section
