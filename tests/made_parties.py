"""Made-up parties to a dispute: reports that differ in what the rules look at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pol_jax.attesting.time_window import Basis, TimeWindow
from pol_jax.judging.party import Party
from pol_jax.program.machine import current_environment
from pol_jax.protocol.claim import Intervention
from pol_jax.protocol.policies import AllSegments
from pol_jax.reports.identity import Authorship, Deployed, Model, ModelRelation, Period
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.provenance import Ancestor, Beginning, Origin, Provenance
from pol_jax.reports.report import Report

K, L = "ed25519:" + "1" * 64, "ed25519:" + "2" * 64
GIVEN = (Intervention(3, ("/params/w",), "0" * 64, "better"),)


DAY = datetime(2026, 1, 1, tzinfo=UTC)


EMPTY = Report.unfinished(AllSegments(), b"", current_environment())


def window(begin: int | None, end: int | None, basis: Basis = "beacon") -> Period:
    """A period in days."""
    times = [None if day is None else DAY + timedelta(days=day) for day in (begin, end)]
    shown = times[0] if basis == "beacon" else None
    return Period(TimeWindow(times[0], basis if times[0] else None, times[1], None, (), shown), (), ())


def party(
    name: str,
    *,
    verdict: Verdict = Verdict.ACCEPTED,
    claim: str | None = None,
    commitment: str | None = None,
    interventions: tuple[Intervention, ...] = (),
    prover: str | None = K,
    signed: bool = True,
    origin: Origin = Origin.TRUSTED,
    beginning: Beginning = Beginning.OWN_KEY,
    parent: str | None = None,
    final: str | None = None,
    difference: ModelRelation | None = None,
    period: Period | None = None,
    begins_in_other: bool = False,
) -> Party:
    """A party that is accepted, signed, and began with its own key, but for what is said."""
    earlier = Provenance(Beginning.OWN_KEY, None, None, (), 0, 1)
    ancestor = Ancestor(parent or "", Verdict.ACCEPTED, (), None, AllSegments(), None, earlier, Origin.TRUSTED)
    ancestor = msgspec.structs.replace(ancestor, commitment=parent and f"commitment of {parent}")
    beginning = Beginning.EARLIER_PROOF if parent else beginning
    changes: dict[str, Any] = {
        "verdict": verdict,
        "reasons": ("the reason",) if verdict is not Verdict.ACCEPTED else (),
        "claim": claim or name,
        "commitment": commitment or f"commitment of {name}",
        "interventions": interventions,
        "authorship": Authorship(prover, prover if signed else None, commitment_signed=False, pinned=None),
        "program_origin": origin,
        "provenance": Provenance(beginning, parent, None, (), 0, 1),
        "ancestors": (ancestor,) if parent else (),
        "model": Model("0" * 64, final or name, None),
        "period": period or window(None, None),
        "deployed": difference and Deployed(difference, "", (), 0, difference != "different", None, None),
    }
    return Party(name, msgspec.structs.replace(EMPTY, **changes), begins_in_other)
