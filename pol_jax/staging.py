"""A verification under way: which stages were passed, what was found, and the report on it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pol_jax.challenge import Policy, StepPolicy
from pol_jax.claim import Claim
from pol_jax.curves import Point, Update
from pol_jax.encoding import FORMAT
from pol_jax.environment import Environment
from pol_jax.errors import BackendError, ProofError
from pol_jax.progress import Progress
from pol_jax.replay import Replayed
from pol_jax.report import (
    STAGES,
    Ancestor,
    Compared,
    Coverage,
    KolmogorovSmirnov,
    Origin,
    Outcome,
    Provenance,
    Replay,
    Report,
    Stage,
    Verdict,
)
from pol_jax.tolerance import StepComparison
from pol_jax.wording import describe_provenance, describe_test, notices


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
        provenance: of the initial state, once the commitment was read.
        ancestors: proofs that it comes from, once they were verified.
        initial_test: once it was made.
    """

    policy: Policy | StepPolicy
    nonce: bytes
    progress: Progress
    environment: Environment
    stages: list[Stage] = field(default_factory=list)
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
    provenance: Provenance | None = None
    ancestors: tuple[Ancestor, ...] = ()
    initial_test: KolmogorovSmirnov | None = None

    @contextmanager
    def stage(self, number: int) -> Iterator[list[str]]:
        """One stage: passed, with the lines that were added to what this gives; or failed, and the end.

        Raises:
            Stopped: it failed.
        """
        seen: list[str] = []
        with self.attempt(number):
            yield seen
        self.note(number, Outcome.PASSED, "; ".join(seen))

    @contextmanager
    def attempt(self, number: int) -> Iterator[None]:
        """A part of a stage: nothing, unless it fails, which is the end.

        Raises:
            Stopped: it failed.
        """
        self.progress.stage(number)
        try:
            yield
        except (ProofError, BackendError) as error:
            undecided = isinstance(error, BackendError)
            self.verdict = Verdict.INCONCLUSIVE if undecided else Verdict.REJECTED
            self.note(number, Outcome.INCONCLUSIVE if undecided else Outcome.FAILED, str(error))
            self.reasons = (f"stage {number}, {STAGES[number - 1]}: {error}",)
            raise Stopped from error

    def note(self, number: int, outcome: Outcome, detail: str) -> None:
        """A stage is over."""
        self.stages.append(Stage(number, STAGES[number - 1], outcome, detail))

    def seen_of_initial(self) -> str:
        """What stage 7 saw, if it was passed."""
        assert self.provenance is not None  # noqa: S101  # stage 3 was passed
        words = [describe_provenance(self.provenance)]
        words += [f"that is {self.ancestors[0].verdict}"] if self.ancestors else []
        words += [describe_test(self.initial_test)] if self.initial_test else []
        return "; ".join(words)

    def report(self) -> Report:
        """What was found so far."""
        rest = range(len(self.stages) + 1, len(STAGES) + 1)
        return Report(
            format=FORMAT,
            verdict=self.verdict,
            reasons=(*notices(self.provenance, self.ancestors), *self.reasons),
            provenance=self.provenance,
            ancestors=self.ancestors,
            stages=(*self.stages, *(Stage(number, STAGES[number - 1], Outcome.NOT_REACHED, "") for number in rest)),
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
            initial_test=self.initial_test,
        )


def replay_of(segment: int, replayed: Replayed) -> Replay:
    """A replay, as a report has it."""
    return Replay(segment, replayed.start, replayed.stop, replayed.mismatch, replayed.fields)


def compared_as(start: int, stop: int, found: StepComparison) -> Compared:
    """A comparison, as a report has it."""
    whole = found.total
    return Compared(
        start=start,
        stop=stop,
        outcome=found.outcome,
        reasons=found.reasons[:5],
        update=_finite(whole.update),
        noise=_finite(whole.noise),
        tolerance=_finite(whole.tolerance),
        error=_finite(whole.error),
        l1=_finite(found.l1),
        linf=_finite(found.linf),
        cosine=_finite(found.cosine),
        infinitesimal=whole.infinitesimal,
    )


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
