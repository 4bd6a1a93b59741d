"""The verification of a proof and that of an opening have this in common: stages in order, and a report that grows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from msgspec.structs import replace

from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.folder import read_attestations
from pol_jax.errors import BackendError, ProofError, UsageError
from pol_jax.judging.finiteness import non_finite_leaves
from pol_jax.judging.objections import objection_to
from pol_jax.judging.verdict import Judgement
from pol_jax.program.artifact import Artifacts, Program
from pol_jax.progress import Progress
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment, nbytes
from pol_jax.protocol.spans import Span
from pol_jax.protocol.stages import Stage
from pol_jax.protocol.trees import HostLeaves, StateSpec, places_of
from pol_jax.reports.drift import Drift
from pol_jax.reports.identity import Data, Model
from pol_jax.reports.outcomes import Mode, Outcome, Verdict
from pol_jax.reports.provenance import Origin, provenance_of
from pol_jax.reports.report import Report
from pol_jax.reports.wording.notices import notices
from pol_jax.reports.wording.origins import describe_provenance, describe_test
from pol_jax.storage.final_arrays import NamedLeaves
from pol_jax.storage.model_files import read_model
from pol_jax.training.freed_memory import give_memory_back
from pol_jax.verifying.attestations import Attested, check_attestations, check_signed_digests
from pol_jax.verifying.dependence_probe import probe_dependence
from pol_jax.verifying.deployed import compare_deployed
from pol_jax.verifying.final_state import check_final
from pol_jax.verifying.interruption import empty_report, interrupted
from pol_jax.verifying.numeric_comparison import CommittedSteps
from pol_jax.verifying.request import OpeningRequest, ProofRequest
from pol_jax.verifying.trusted_program import Trusted, digest_names, origin_of, other_program

AnyRequest = TypeVar("AnyRequest", bound=ProofRequest | OpeningRequest)


class StageFailed(Exception):
    """A stage was not passed, so those after it are not reached."""


class Verifier(ABC, Generic[AnyRequest]):
    """A verifier goes through the stages of one verification, and its report grows.

    Attributes:
        request: what the verifier asks.
        trusted: tells which programs the source that the verifier trusts gives; or None.
        progress: told of the stages and of the replayed steps.
        environment: of this process.
        report: what was found so far.
        doubts: why nothing is accepted, whatever a replay gives.
    """

    def __init__(self, request: AnyRequest, trusted: Trusted | None, progress: Progress) -> None:
        """Begin a verification, which has found nothing yet.

        Raises:
            UsageError: no other program than the trusted one shall be accepted, and there is none.
        """
        if request.same_program and trusted is None:
            raise UsageError("same_program: there is no trusted source whose program this could be")
        self.request, self.trusted, self.progress = request, trusted, progress
        self._attested: Attested | None = None
        self._final_state: NamedLeaves | None = None
        self.doubts: list[str] = []
        self.report = empty_report(request)
        self.environment = self.report.environment
        self._read: tuple[str, ...] = ()
        self.leaves: list[int] | None = None
        """These are the places of the leaves that matter; None for all, or while the state isn't known."""

    def run(self) -> Report:
        """Go through the stages up to the first that is not passed, and report.

        The reasons for the verdict come after notices of what nobody has shown, and of what only a tolerance shows.
        """
        with suppress(StageFailed):
            self.run_stages()
            # A model is compared with an accepted run only: of another, its likeness would say nothing.
            model, accepted = self.request.model, self.report.verdict is Verdict.ACCEPTED
            if model is not None and accepted and self._final_state is not None:
                given = read_model(Path(model))
                self.add(deployed=compare_deployed(given, dict(self._final_state), self.stored_states()))
        return replace(self.report, reasons=(*notices(self.report), *self.report.reasons))

    @abstractmethod
    def run_stages(self) -> None:
        """Go through stages 1 to 9.

        Raises:
            StageFailed: one was not passed.
        """

    def stored_states(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Yield the steps and states that are there, by path; an opening has none to offer."""
        yield from ()

    def add(self, **facts: Any) -> None:
        """Add facts to the report, by the names of its fields."""
        self.report = replace(self.report, **facts)

    def add_claim(self, claim: Claim) -> None:
        """Add to the report what a claim says."""
        self.add(
            claim=claim.digest().hex(),
            commitment=claim.commitment,
            claimed_environment=claim.environment,
            interventions=claim.interventions,
            model=Model(claim.final_state, None, None),
        )

    def add_commitment(self, commitment: Commitment) -> None:
        """Add to the report what a commitment says, and find the leaves that matter.

        Raises:
            UsageError: the state has none of a name that the verifier gave.
        """
        self.leaves = places_of(commitment.state, self.report.leaves) if self.report.leaves else None
        may_stop_early = commitment.schedule.may_stop_early
        self.add(task=commitment.task.name, provenance=provenance_of(commitment), may_stop_early=may_stop_early)
        self.add(data=Data(commitment.data.root, commitment.data.records, commitment.data.salted, None))

    def add_attestations(self, root: Path, commitment: Commitment, claim: Claim) -> list[str]:
        """Check what lies in the attestations in ``root``, add it to the report, and return what was seen.

        Raises:
            ProofError: something of it is false.
        """
        signer, roots = self.request.signer, self.request.tsa_roots
        self._attested = check_attestations(read_attestations(root), commitment, claim, signer, roots)
        self.add(authorship=self._attested.authorship, period=self._attested.period)
        self.doubts += [f"{Stage.COMMITMENT}: {doubt}" for doubt in self._attested.doubts]
        return [f"signed by {self._attested.claim.signers[0]}"] if self._attested.claim else []

    def see_final(self, spec: StateSpec, leaves: HostLeaves, where: str) -> None:
        """Note in the report what is not finite in the final state, and check that it is the one at hand, if one is.

        Raises:
            ProofError: it is another one.
        """
        self.add(non_finite=non_finite_leaves(spec, leaves))
        state = NamedLeaves.of(spec, leaves)
        # Digests of the parameters alone tie a deployed model to the claim, which names the whole state.
        digests = digest_arrays(state.parameters())
        # A state may be large; it is kept only if it is compared with a model in the end.
        self._final_state = state if self.request.model is not None else None
        if self._attested and self._attested.claim:
            check_signed_digests(self._attested.claim, state, digests)
        assert self.report.model is not None  # noqa: S101  # stage 2 was passed
        self.add(model=replace(self.report.model, blake3=digests.blake3, sha256=digests.sha256))
        check_final(spec, leaves, self.request.final, where)

    def add_dependence(self, material: CommittedSteps, span: Span) -> None:
        """Try the first step of a span with other numbers; add to the report how much its update depends on them."""
        # The probe informs and decides nothing, so that a machine that can not run it still gives its verdict.
        with suppress(BackendError):
            given = next(iter(material.inputs(span)))
            give_memory_back(nbytes(material.program.signature.state))  # what the replays have freed
            self.add(dependence=probe_dependence(material.program, material.state(span.start), given))

    def add_drift(self, drift: Drift) -> None:
        """Add a drift to the report. A way that was only measured over values that are not there has no length."""
        # Where every value that moved is not finite, the distance that was measured is 0, and the true one is not
        # known.
        unknown = bool(self.report.non_finite) and drift.distance == 0
        self.add(drift=replace(drift, distance=None) if unknown else drift)

    def see_program(self, program: Program) -> str:
        """Note what a program does with the bits of the state; return how large it is, in words."""
        self._read = tuple(program.signature.state[at].path for at in program.read)
        return describe_size(program)

    def compare_programs(self, artifacts: Callable[[], Artifacts], commitment: Commitment, claim: Claim) -> list[str]:
        """Compare programs, which load, with those of the trusted source, if there is one; return what was seen.

        Args:
            artifacts: reads the programs.
            commitment: of the run.
            claim: of the run.

        Raises:
            ProofError: they are others, where no others are accepted.
            BackendError: likewise, but another jax than the prover's may be the cause.
        """
        if self.trusted is None:
            return []
        # The claim's steps are for a commitment of version 1, which has none; else the committed ones count.
        expected = self.trusted(commitment, claim.steps)
        if expected is None:
            return []
        origin, words = origin_of(artifacts(), digest_names(commitment), expected)
        self.add(program_origin=origin)
        if origin is Origin.DIFFERS and not self.request.any_program:
            # Section 13, stage 3: another jax may write the same source as another program, so it depends on the
            # versions.
            other = other_program(words, claim.environment, self.environment)
            if self.request.same_program:
                raise other
            self.doubts.append(f"{Stage.COMMITMENT}: {other}")
        return [words]

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[list[str]]:
        """Go through a stage, which is passed unless an error is raised. What is added to the list is its detail.

        Raises:
            StageFailed: it was not passed.
        """
        seen: list[str] = []
        with self.attempt(stage):
            yield seen
        self.note(stage, Outcome.PASSED, "; ".join(seen))

    @contextmanager
    def attempt(self, stage: Stage) -> Iterator[None]:
        """Go through a part of a stage: this says nothing of the stage, unless an error is raised.

        Raises:
            StageFailed: the stage was not passed.
        """
        self.progress.stage(stage.value)
        try:
            yield
        except (ProofError, BackendError) as error:
            self.report = interrupted(self.report, stage, error)
            raise StageFailed from error

    def note(self, stage: Stage, outcome: Outcome, detail: str = "") -> None:
        """Note the result of a stage in the report."""
        self.report = self.report.with_stage(stage, outcome, detail)

    def conclude(self, judgement: Judgement) -> None:
        """Make a judgement the verdict, but accept nothing that the verifier or the tolerances object to."""
        self.add(verdict=judgement.verdict, reasons=judgement.reasons)
        # Objections only ever take an acceptance away: a rejection needs none, and stays one.
        if judgement.verdict is not Verdict.ACCEPTED:
            return
        # A chain is as strong as its weakest proof (section 13.1): an earlier one within a tolerance makes this one so.
        tolerant = self.report.compared or any(each.mode is Mode.TOLERANCE for each in self.report.ancestors)
        mode = Mode.TOLERANCE if tolerant else Mode.BITS
        objection = objection_to(self.report, mode, reads_bits_of=self._read, any_program=self.request.any_program)
        objections = [*self.doubts, *([f"{Stage.REPLAY}: {objection}"] if objection else [])]
        if objections:
            self.add(verdict=Verdict.INCONCLUSIVE, reasons=(*objections, *judgement.reasons))
        else:
            self.add(mode=mode)

    def initial_detail(self) -> str:
        """Return what stage 7 saw of the initial state, once stage 3 was passed."""
        assert self.report.provenance is not None  # noqa: S101  # stage 3 was passed
        words = [describe_provenance(self.report.provenance)]
        words += [f"that is {self.report.ancestors[0].verdict}"] if self.report.ancestors else []
        words += [describe_test(self.report.initial_test)] if self.report.initial_test else []
        return "; ".join(words)


def describe_size(program: Program) -> str:
    """Return what a program could hold of a model, in words: a reader can tell whether all of one fits in."""
    state = nbytes(program.signature.state)
    constants, packed = program.constant_bytes, program.packed_bytes
    return f"{constants} bytes of constants; compressed, the programs have {packed} bytes; a state has {state}"
