"""What a verification found, as one frozen value. Its truth value is "accepted"."""

from __future__ import annotations

import inspect
import math
from enum import StrEnum
from typing import Literal

import msgspec

from pol_jax import errors
from pol_jax.protocol.challenge import Policy, StepPolicy
from pol_jax.protocol.encoding import FORMAT
from pol_jax.protocol.environment import Environment
from pol_jax.protocol.spans import Span
from pol_jax.protocol.stages import Stage
from pol_jax.reports.curves import Point, Step, Update


class Verdict(StrEnum):
    """What a verification comes to."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """The exit code of the command line."""
        codes = {"accepted": errors.ACCEPTED, "rejected": errors.REJECTED, "inconclusive": errors.INCONCLUSIVE}
        return codes[self.value]


class Outcome(StrEnum):
    """What became of a stage, of a comparison, or of one leaf of it; only a stage may be not reached."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOT_REACHED = "not reached"


class Origin(StrEnum):
    """Whose program was replayed: compared with the verifier's own export of source that it trusts."""

    TRUSTED = "trusted source"
    DIFFERS = "differs from the trusted source"
    NOT_COMPARED = "not compared"


class Beginning(StrEnum):
    """Where an initial state comes from, beside its own key."""

    OWN_KEY = "own key"
    EARLIER_PROOF = "earlier proof"
    UNPROVEN_WEIGHTS = "unproven weights"


class StageResult(msgspec.Struct, frozen=True):
    """What came of one stage: its number (1 is the first), its name, the outcome, and what was seen."""

    number: int
    name: str
    outcome: Outcome
    detail: str

    @classmethod
    def of(cls, stage: Stage, outcome: Outcome, detail: str = "") -> StageResult:
        """Return the result of ``stage``."""
        return cls(stage.value, stage.title, outcome, detail)


class Coverage(msgspec.Struct, frozen=True):
    """What was and wasn't replayed.

    Attributes:
        unit: what is challenged: segments of a proof, or steps of an opening.
        segments: how many the proof has; steps, if these are the unit.
        replayed: the challenged ones that were.
        steps: how many the proof has.
        steps_replayed: in those segments, and on the way to them from a checkpoint.
        fraction: the share of false segments that the next field is about.
        detection: probability that a draw like this one meets a false segment, if that share is false. Only what
            chance chose counts: it is 0 for a list and for the largest updates, unless they are all.
    """

    unit: Literal["segment", "step"]
    segments: Step
    replayed: tuple[Step, ...]
    steps: Step
    steps_replayed: Step
    fraction: float
    detection: float


class Replay(msgspec.Struct, frozen=True):
    """What came of replaying a segment, the self-test at the beginning of segment 0, or the steps of an opening.

    Attributes:
        segment: its number, from 0; of an opening, the last of the steps.
        start: the step of the state that it began with.
        stop: the last step that it was to reach.
        mismatch: the first step that came out otherwise; None if all came out bit for bit.
        fields: the columns of the ledger in which that step differs.
    """

    segment: Step
    start: Step
    stop: Step
    mismatch: Step | None
    fields: tuple[str, ...]


class Compared(msgspec.Struct, frozen=True):
    """How far the steps between two states are from this machine's, where bits can't decide.

    Distances are Euclidean, over all floating-point leaves, where nothing else is said. A number that is not finite
    is None.

    Attributes:
        start: the step of the state that it began with; -1 for the initial state, which begins with nothing.
        stop: the last step.
        outcome: passed within the tolerance, failed, or inconclusive.
        reasons: why, at most 5 lines.
        update: between the committed states before and after.
        noise: the largest distance between two compilations here.
        tolerance: calibrated from the noise.
        limit: the largest tolerance that decides, a small share of the update.
        error: between the committed state after and this machine's.
        l1: of the error, likewise ``linf`` and ``cosine``.
        linf: largest difference of an element.
        cosine: cosine distance.
        infinitesimal: whether the update can't be told from rounding.
        segments: the challenged ones in it; none for an opening.
    """

    start: int
    stop: Step
    outcome: Outcome
    reasons: tuple[str, ...]
    update: float | None
    noise: float | None
    tolerance: float | None
    limit: float | None
    error: float | None
    l1: float | None
    linf: float | None
    cosine: float | None
    infinitesimal: bool
    segments: tuple[Step, ...] = ()

    @property
    def span(self) -> Span:
        """The steps that were compared; not for the initial state."""
        return Span(self.start, self.stop)

    @property
    def is_initial(self) -> bool:
        """Whether it is about the initial state, which no step leads to."""
        return self.start < 0

    @property
    def passed(self) -> bool:
        """Whether it is within the tolerance."""
        return self.outcome is Outcome.PASSED

    @property
    def allowed(self) -> float | None:
        """The largest error that passes with other bits."""
        return None if self.tolerance is None or self.limit is None else min(self.tolerance, self.limit)

    @property
    def severity(self) -> tuple[int, float]:
        """What to look at first is greatest: failed, then inconclusive, then passed; of these the largest error."""
        ranks = (Outcome.NOT_REACHED, Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.FAILED)
        return ranks.index(self.outcome), self.relative(self.error)

    def relative(self, distance: float | None) -> float:
        """A distance as a share of the update; infinite where it is not finite, or the update isn't or is 0."""
        if distance is None or self.update is None:
            return math.inf
        return distance / self.update if self.update else math.inf if distance else 0.0


class Drift(msgspec.Struct, frozen=True):
    """What the verification leaves room for: how far the run could have been led astray, against how far it went.

    Distances are Euclidean, over all floating-point leaves. None is what is not finite, or can't be told: an opening
    has no checkpoints.

    Attributes:
        distance: from the initial state to the last one.
        path: the sum of all updates from checkpoint to checkpoint.
        unchecked: the largest updates that were not checked, added up: as many as could be false without the draw
            having met one with ``confidence``; all of them, where the prover could foresee what was checked.
        confidence: that of the policy; None where ``unchecked`` has all that was not checked.
        tolerated: what the whole run could be off, if every step were by as much as was tolerated in those that
            passed; 0 where all came out bit for bit.
        d_ref: a distance between two honest trainings, as the verifier gave it.
        updates: how many were measured.
        infinitesimal: how many of them are far below the median one.
    """

    distance: float | None
    path: float | None
    unchecked: float | None
    confidence: float | None
    tolerated: float | None
    d_ref: float | None
    updates: Step
    infinitesimal: Step


class Provenance(msgspec.Struct, frozen=True):
    """Where an initial state comes from, by the commitment. What is not taken over comes from the key of step 0.

    Attributes:
        beginning: its own key alone; leaves of an earlier proof's final state; or weights that no proof is about.
        claim: hex digest of the claim of the earlier proof, or None.
        digest: hex state digest of the leaves that were taken over, or None.
        taken: their paths.
        values: how many numbers they hold.
        leaves: how many leaves the state has.
    """

    beginning: Beginning
    claim: str | None
    digest: str | None
    taken: tuple[str, ...]
    values: int
    leaves: Step


class Ancestor(msgspec.Struct, frozen=True):
    """An earlier proof that the initial state comes from, directly or not, and what its verification came to.

    Attributes:
        claim: hex digest of its claim.
        verdict: on it, with the same nonce.
        reasons: for that.
        task: what the prover calls its task.
        policy: by which it was challenged.
        coverage: of that.
        provenance: of its own initial state; None where its commitment could not be read.
        program_origin: of its program.
    """

    claim: str
    verdict: Verdict
    reasons: tuple[str, ...]
    task: str | None
    policy: Policy | StepPolicy
    coverage: Coverage | None
    provenance: Provenance | None
    program_origin: Origin


class KolmogorovSmirnov(msgspec.Struct, frozen=True):
    """Whether the random leaves of the initial state look as ``init`` draws them. Information: it decides nothing.

    Attributes:
        leaves: how many were tested.
        smallest_p: of the leaves, times their number, at most 1: how likely an honest state has a leaf as odd as its
            oddest.
        path: of that leaf.
    """

    leaves: Step
    smallest_p: float
    path: str


class Report(msgspec.Struct, frozen=True):
    """The result of a verification.

    Attributes:
        format: version of the format.
        verdict: accepted, rejected or inconclusive.
        reasons: why, one line each; before them, what of the initial state is not proven.
        provenance: of the initial state; None where stage 3 was not passed.
        ancestors: the earlier proofs that it comes from, as far as they were verified, the latest first.
        stages: all nine.
        claim: hex digest of the claim; None where it could not be read.
        commitment: hex digest of the commitment, likewise.
        task: what the prover calls its task; None where stage 3 was not passed. Recorded, never trusted.
        nonce: hex; decides the draw.
        policy: decides the draw.
        coverage: None where no challenge was drawn.
        self_test: the replay of the first steps; None where it was not made.
        replays: those of the covered segments.
        curve: the ledger's loss, at most 200 points; empty where stage 4 was not passed.
        initial_test: a statistical test of the initial state; None where it was not made or nothing is random.
        compared: steps whose bits differ here and could say nothing, compared within a tolerance.
        updates: how far the checkpoints are apart, at most 200, by the policy's metric, else l2; empty for an opening.
        drift: what false or tolerated steps could have done; None where nothing came out.
        claimed_environment: where the prover says it ran.
        environment: where the verification ran.
        program_origin: whether the program is the one that the verifier exports from source that it trusts.
    """

    format: Literal["pol-jax/1"]
    verdict: Verdict
    reasons: tuple[str, ...]
    provenance: Provenance | None
    ancestors: tuple[Ancestor, ...]
    stages: tuple[StageResult, ...]
    claim: str | None
    commitment: str | None
    task: str | None
    nonce: str
    policy: Policy | StepPolicy
    coverage: Coverage | None
    self_test: Replay | None
    replays: tuple[Replay, ...]
    curve: tuple[Point, ...]
    updates: tuple[Update, ...]
    claimed_environment: Environment | None
    environment: Environment
    program_origin: Origin
    compared: tuple[Compared, ...]
    drift: Drift | None
    initial_test: KolmogorovSmirnov | None

    def __bool__(self) -> bool:
        """Whether the proof is accepted."""
        return self.verdict is Verdict.ACCEPTED

    def to_json(self) -> bytes:
        """The report as JSON, indented, for people and programs."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def json_schema() -> bytes:
    """The JSON Schema of reports, as it is in ``docs/report.schema.json``."""
    schema = msgspec.json.schema(Report)
    for definition in schema["$defs"].values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


assert FORMAT == "pol-jax/1", "the Literal types above name the format"  # noqa: S101
