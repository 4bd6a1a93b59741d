"""An objection says why a run is not accepted though it passed every stage (docs/protocol.md, section 13.1).

Equal bits leave a prover nothing to choose. A tolerance does: last places, and with them whatever a program makes of
them. So it is not enough that every step that was compared lies within its own tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence

from pol_jax.errors import printable
from pol_jax.judging.drift import drift_objection, with_ancestors
from pol_jax.reports.outcomes import Mode
from pol_jax.reports.provenance import Origin
from pol_jax.reports.report import Report


def objection_to(report: Report, mode: Mode, *, reads_bits_of: Sequence[str], any_program: bool) -> str | None:
    """Return why a run is not accepted in this mode, or None.

    What tolerances allow, added up over the run and those that it comes from, must be small against what it did.

    Args:
        report: what was found of the run.
        mode: whether its bits are equal, or only its numbers within a tolerance.
        reads_bits_of: paths of the leaves whose bits the program reads.
        any_program: whether the verifier takes another program than that of a source they trust.
    """
    if mode is Mode.TOLERANCE and (objection := _objection_to_tolerance(report, reads_bits_of, any_program)):
        return objection
    return drift_objection(with_ancestors(report.drift, report.ancestors)) if report.drift else None


def _objection_to_tolerance(report: Report, reads_bits_of: Sequence[str], any_program: bool) -> str | None:
    """Return why nothing of this run can be accepted within a tolerance, however small its differences are."""
    if report.exact:
        return "the verifier asked for equal bits only, and some steps are equal only within a tolerance"
    # A program that reads bits can turn one last place, which a tolerance leaves to the prover, into anything.
    if reads_bits_of:
        return (
            f"the program reads the bits of leaf {printable(reads_bits_of[0] or '/', 60)}, and no tolerance bounds "
            "what it computes from them; on the prover's own backend, or in exact arithmetic, bits can be compared"
        )
    # No calibration bounds what an unknown program makes of last places later, or when a sign is given (section 13.1).
    if not any_program and report.program_origin is not Origin.TRUSTED:
        differs = report.program_origin is Origin.DIFFERS
        what = "is not that of the trusted source" if differs else "was not compared with any source"
        return (
            f"the program {what}, and a program can be written so that the small differences that a tolerance allows "
            "have large effects; compare it with a source that you trust, or read it and accept any program"
        )
    return None
