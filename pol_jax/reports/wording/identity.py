"""These functions say in words which model, whose, when and on which records; and what was not checked."""

from __future__ import annotations

from collections.abc import Iterator

from pol_jax.errors import printable
from pol_jax.reports.identity import Authorship, Data, Deployed, Model, Period
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.provenance import Origin
from pol_jax.reports.report import Report


def describe_model(model: Model) -> str:
    """Return which model a claim is about."""
    if model.blake3 is None:
        return f"final state {model.final_state}, as claimed; it was not read, so its parameters have no digest here"
    return f"final parameters, BLAKE3 {model.blake3}; final state {model.final_state}"


def describe_authorship(who: Authorship) -> str:
    """Return who made a claim, as far as keys show it."""
    if who.prover is None:
        named = "anonymous: the commitment names no prover"
        if who.signer is None:
            return f"{named}, and the claim is not signed"
        return f"{named}; the claim is signed by {who.signer}, which shows who signed, and not who trained"
    if who.signer is None:
        return f"not signed: the commitment names {who.prover}, and nothing shows that its owner made the claim"
    signed = f"signed by {who.signer}, the prover whom the commitment names"
    if who.pinned is None:
        return f"{signed}; no signer was asked for, so whose key it is stays open"
    return f"{signed}, and the signer that was asked for"


def is_settled(who: Authorship) -> bool:
    """Return whether the signer that was asked for is the prover, so that nothing of this needs a warning."""
    return who.is_shown and who.pinned is not None


def describe_period(period: Period) -> tuple[str, ...]:
    """Return when training took place, one line for each bound, and on whose word."""
    words = tuple(f"timestamped by {printable(name)}" for name in period.authorities)
    return (*period.window.describe(), *words)


def describe_data(data: Data) -> str:
    """Return the records of a run, and with which ones they were compared."""
    kind = "salted digests, so that only who has the secret can compare them" if data.salted else "public digests"
    records = f"{data.records} records, root {data.root} ({kind})"
    if data.compared is None:
        return f"{records}; they were compared with no data set"
    return f"{records}; those of the replayed steps are the records of {printable(data.compared)}"


def describe_leaves(deployed: Deployed) -> Iterator[str]:
    """Yield what became of the leaves of a model at hand that are not simply equal, one line each."""
    yield from map(printable, deployed.leaves)
    if deployed.omitted:
        yield f"{deployed.omitted} more leaves are not shown"
    if deployed.nearest is not None:
        yield f"the state after step {deployed.nearest} is the nearest of the run"


def summary(report: Report) -> Iterator[tuple[str, str]]:
    """Yield what a reader asks first, as (question, answer); one question may have several answers."""
    if report.model is not None:
        yield "model", describe_model(report.model)
    if report.deployed is not None:
        yield "model at hand", printable(report.deployed.words)
    if report.authorship is not None:
        yield "by", describe_authorship(report.authorship)
    if report.period is not None:
        yield from (("when", line) for line in describe_period(report.period))
    if report.data is not None:
        yield "data", describe_data(report.data)
    yield from (("not checked", line) for line in not_checked(report))


def not_checked(report: Report) -> Iterator[str]:
    """Yield what a verification left out, one line each."""
    covered = report.coverage
    if covered is None:
        yield "any step: the verification ended before a replay"
    elif left := covered.segments - len(covered.replayed):  # steps on the way to a segment count for nothing here
        yield f"{left} of {covered.segments} {covered.unit}s, which were not replayed"
    if report.program_origin is Origin.NOT_COMPARED and report.verdict is not Verdict.REJECTED:
        yield "the program: it was compared with no source"
    if report.data is not None and report.data.compared is None:
        yield "the records: they were compared with no data set"
    who = report.authorship
    if who is not None and who.pinned is None and (who.prover or who.signer):
        yield "whose the key is: no signer was asked for"
    if report.period is not None:
        yield from (printable(line) for line in report.period.unchecked)
        if report.period.authorities:
            yield "whether a certificate of the timestamping authority was revoked"
