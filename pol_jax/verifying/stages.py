"""A verification under way: which stages were passed, what was found, and the report on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pol_jax.errors import BackendError, ProofError
from pol_jax.judging.drift import drift_objection
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.judging.verdict import Judgement
from pol_jax.progress import Progress
from pol_jax.protocol.challenge import Policy, StepPolicy
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.encoding import FORMAT
from pol_jax.protocol.environment import Environment
from pol_jax.protocol.stages import Stage
from pol_jax.reports.curves import Point, Update
from pol_jax.reports.report import (
    Ancestor,
    Compared,
    Coverage,
    Drift,
    KolmogorovSmirnov,
    Origin,
    Outcome,
    Provenance,
    Replay,
    Report,
    StageResult,
    Verdict,
)
from pol_jax.reports.wording import describe_provenance, describe_test, notices


class Stopped(Exception):
    """A stage failed; those behind it are not reached."""


@dataclass(kw_only=True)
class Staging:
    """What was found so far.

    Attributes:
        policy: the verifier's.
        nonce: decides the draw.
        progress: told of the stages.
        environment: of this process.
        stages: that were reached.
        verdict: rejected, until something better is shown.
        reasons: for the verdict.
        claim: once it was read.
        task: the prover's name for it.
        coverage: once a challenge was drawn.
        self_test: once it was made.
        replays: of what was challenged.
        curve: of the ledger's loss.
        compared: within a tolerance.
        updates: between checkpoints, where the policy ranks them.
        origin: of the program, once it was compared.
        d_ref: a distance between two honest trainings, if the verifier has one.
        drift: what is left room for, once something was replayed.
        provenance: of the initial state, once the commitment was read.
        ancestors: proofs that it comes from, once they were verified.
        initial_test: once it was made.
    """

    policy: Policy | StepPolicy
    nonce: bytes
    progress: Progress
    environment: Environment
    stages: list[StageResult] = field(default_factory=list)
    verdict: Verdict = Verdict.REJECTED
    reasons: tuple[str, ...] = ()
    claim: Claim | None = None
    task: str | None = None
    coverage: Coverage | None = None
    self_test: Replay | None = None
    replays: tuple[Replay, ...] = ()
    curve: tuple[Point, ...] = ()
    updates: tuple[Update, ...] = ()
    compared: tuple[Compared, ...] = ()
    origin: Origin = Origin.NOT_COMPARED
    d_ref: float | None = None
    drift: Drift | None = None
    provenance: Provenance | None = None
    ancestors: tuple[Ancestor, ...] = ()
    initial_test: KolmogorovSmirnov | None = None

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[list[str]]:
        """One stage: passed, with the lines that were added to what this gives; or failed, and the end.

        Raises:
            Stopped: it failed.
        """
        seen: list[str] = []
        with self.attempt(stage):
            yield seen
        self.note(stage, Outcome.PASSED, "; ".join(seen))

    @contextmanager
    def attempt(self, stage: Stage) -> Iterator[None]:
        """A part of a stage: nothing, unless it fails, which is the end.

        Raises:
            Stopped: it failed.
        """
        self.progress.stage(stage.value)
        try:
            yield
        except (ProofError, BackendError) as error:
            undecided = isinstance(error, BackendError)
            self.verdict = Verdict.INCONCLUSIVE if undecided else Verdict.REJECTED
            self.note(stage, Outcome.INCONCLUSIVE if undecided else Outcome.FAILED, str(error))
            self.reasons = (f"{stage}: {error}",)
            raise Stopped from error

    def note(self, stage: Stage, outcome: Outcome, detail: str) -> None:
        """A stage is over."""
        self.stages.append(StageResult.of(stage, outcome, detail))

    def judged(self, judgement: Judgement) -> None:
        """Take a judgement; what tolerances allow must be small against what the run did, or nothing is accepted."""
        self.verdict, self.reasons = judgement.verdict, judgement.reasons
        objection = drift_objection(self.drift) if self.drift else None
        if objection and self.verdict is Verdict.ACCEPTED:
            self.verdict, self.reasons = Verdict.INCONCLUSIVE, (f"{Stage.REPLAY}: {objection}", *self.reasons)

    def seen_of_initial(self) -> str:
        """What stage 7 saw, if it was passed."""
        assert self.provenance is not None  # noqa: S101  # stage 3 was passed
        words = [describe_provenance(self.provenance)]
        words += [f"that is {self.ancestors[0].verdict}"] if self.ancestors else []
        words += [describe_test(self.initial_test)] if self.initial_test else []
        return "; ".join(words)

    def report(self) -> Report:
        """What was found so far."""
        rest = list(Stage)[len(self.stages) :]
        return Report(
            format=FORMAT,
            verdict=self.verdict,
            reasons=(*notices(self.provenance, self.ancestors), *self.reasons),
            provenance=self.provenance,
            ancestors=self.ancestors,
            stages=(*self.stages, *(StageResult.of(stage, Outcome.NOT_REACHED) for stage in rest)),
            claim=self.claim.digest().hex() if self.claim else None,
            commitment=self.claim.commitment if self.claim else None,
            task=self.task,
            nonce=self.nonce.hex(),
            policy=self.policy,
            coverage=self.coverage,
            self_test=self.self_test,
            replays=self.replays,
            curve=self.curve,
            updates=self.updates,
            compared=self.compared,
            claimed_environment=self.claim.environment if self.claim else None,
            environment=self.environment,
            program_origin=self.origin,
            drift=self.drift,
            initial_test=self.initial_test,
        )


def replay_of(segment: int, result: ReplayResult) -> Replay:
    """The result of a replay as a report shows it."""
    return Replay(segment, result.span.start, result.span.stop, result.mismatch, result.fields)
