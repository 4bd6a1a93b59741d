"""A party to a dispute: a proof, what was found about it, and what follows from that about it and another one."""

from __future__ import annotations

from dataclasses import dataclass

from pol_jax.errors import printable
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.provenance import Ancestor, Beginning, Origin
from pol_jax.reports.report import Report


@dataclass(frozen=True)
class Party:
    """A party to a dispute is a proof and what was found about it.

    Attributes:
        name: what the one who asks calls it.
        report: on its verification, with the same nonce and policy as the other's.
        begins_in_other: whether all final parameters of the other are among the weights of unproven origin with which
            this one begins, itself or by an earlier proof, bit for bit or cast.
    """

    name: str
    report: Report
    begins_in_other: bool = False

    def __str__(self) -> str:
        """Return the name in a form that is safe to show."""
        return printable(self.name, 4096)

    @property
    def prover(self) -> str | None:
        """Return the key that the commitment names."""
        return self.report.authorship.prover if self.report.authorship else None

    @property
    def is_signed(self) -> bool:
        """Return whether the prover signed the claim."""
        return self.report.authorship is not None and self.report.authorship.is_shown

    @property
    def is_compared(self) -> bool:
        """Return whether the program is one that the verifier trusts, and so is that of each run that it comes from."""
        origins = (self.report.program_origin, *(each.program_origin for each in self.report.ancestors))
        return set(origins) == {Origin.TRUSTED}

    @property
    def origin_is_shown(self) -> bool:
        """Return whether all that the final state comes from is of accepted proofs, their programs and their keys."""
        if self.report.interventions or any(each.interventions for each in self.report.ancestors):
            return False
        chain = (self.report.provenance, *(each.provenance for each in self.report.ancestors))
        verified = {each.claim for each in self.report.ancestors if each.verdict is Verdict.ACCEPTED}
        # A claim that is named and was not verified shows nothing of where weights come from.
        return all(
            each is not None
            and each.beginning is not Beginning.UNPROVEN_WEIGHTS
            and (each.claim is None or each.claim in verified)
            for each in chain
        )

    @property
    def fits(self) -> bool | None:
        """Return whether the model at hand is this one's final parameters; None if there is none."""
        deployed = self.report.deployed
        return None if deployed is None else deployed.difference != "different"

    def descends_from(self, other: Party) -> bool:
        """Return whether this one begins with a final state of the other's run, by proofs that were accepted."""
        return any(_one_run(each, other.report) and each.verdict is Verdict.ACCEPTED for each in self.report.ancestors)

    def is_of_the_run_of(self, other: Party) -> bool:
        """Return whether both are of one claim or of one commitment, whose digest is in every seed."""
        return _one_run(self.report, other.report)

    def was_before(self, other: Party) -> bool:
        """Return whether this one was shown to be there before the other can have begun: a beacon alone shows that."""
        own, others = self.report.period, other.report.period
        if own is None or others is None:
            return False
        # A timestamp shows that something was there by then, never that it was not there before. Only a value that
        # nobody knew earlier, such as the round of a beacon, shows the earliest time at which a run can have begun.
        end, begin = own.window.not_after, others.window.beacon
        return end is not None and begin is not None and end < begin

    def is_independent_of(self, other: Party) -> bool:
        """Return whether this one is accepted and has nothing of the other, whatever an inconclusive other one came to.

        It begins with nothing of it, and the two end in different parameters.
        """
        own, others = self.report.model, other.report.model
        return (
            self.report.verdict is Verdict.ACCEPTED
            and self.prover not in (None, other.prover)
            and self.is_compared
            and self.origin_is_shown
            and own is not None
            and others is not None
            and None not in (own.blake3, others.blake3)
            and own.blake3 != others.blake3
        )


def _one_run(one: Report | Ancestor, other: Report) -> bool:
    """Return whether both are of one claim or of one commitment, whose digest is in every seed."""
    return one.claim == other.claim or (one.commitment is not None and one.commitment == other.commitment)
