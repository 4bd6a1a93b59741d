"""A report is what a verification found, as one frozen value whose truth value is "accepted" (section 13.1)."""

from __future__ import annotations

import inspect
import math
from enum import StrEnum
from typing import Literal

import msgspec

from pol_jax import errors
from pol_jax.protocol.challenge import Policy, StepPolicy
from pol_jax.protocol.claim import Intervention
from pol_jax.protocol.encoding import FORMAT, Format
from pol_jax.protocol.environment import Environment
from pol_jax.protocol.limits import RULES
from pol_jax.protocol.spans import Span
from pol_jax.protocol.stages import Stage
from pol_jax.reports.curves import Point, Step, Update


class Verdict(StrEnum):
    """A verdict is the result of a verification."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command line."""
        codes = {"accepted": errors.ACCEPTED, "rejected": errors.REJECTED, "inconclusive": errors.INCONCLUSIVE}
        return codes[self.value]


class Mode(StrEnum):
    """A mode says how a proof was accepted: everything bit for bit, or something only within a tolerance."""

    BITS = "bits"
    TOLERANCE = "tolerance"


class Outcome(StrEnum):
    """An outcome is the result of a stage, of a comparison or of one leaf; only a stage may be "not reached"."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOT_REACHED = "not reached"


class Origin(StrEnum):
    """An origin says whether the program is the one that the verifier exports from source that it trusts."""

    TRUSTED = "trusted source"
    DIFFERS = "differs from the trusted source"
    NOT_COMPARED = "not compared"


class Beginning(StrEnum):
    """A beginning says what an initial state takes over, beside the leaves that come from its own key."""

    OWN_KEY = "own key"
    EARLIER_PROOF = "earlier proof"
    UNPROVEN_WEIGHTS = "unproven weights"


class StageResult(msgspec.Struct, frozen=True):
    """A stage result holds number and name of a stage (the first is 1), its outcome, and what was found."""

    number: int
    name: str
    outcome: Outcome
    detail: str

    @classmethod
    def of(cls, stage: Stage, outcome: Outcome, detail: str = "") -> StageResult:
        """Return the result of ``stage``."""
        return cls(stage.value, stage.title, outcome, detail)


class Coverage(msgspec.Struct, frozen=True):
    """A coverage says what was replayed, and how likely that was to meet a false segment.

    Attributes:
        unit: what is challenged: segments of a proof, or steps of an opening.
        segments: number of segments of the proof, or of steps if these are the unit.
        replayed: the challenged segments that were replayed.
        steps: number of steps of the proof.
        steps_replayed: number of steps that were replayed, those on the way from a checkpoint included.
        fraction: the share of false segments that `detection` is about.
        detection: probability that a draw like this one meets a false segment, if that share is false. Only segments
            that were chosen at random count: it is 0 for a list and for the largest updates, unless they are all.
    """

    unit: Literal["segment", "step"]
    segments: Step
    replayed: tuple[Step, ...]
    steps: Step
    steps_replayed: Step
    fraction: float
    detection: float


class Replay(msgspec.Struct, frozen=True):
    """A replay says whether a segment, the self-test, or the steps of an opening gave what the ledger says.

    Attributes:
        segment: number of the segment, from 0; for an opening, the last of the steps.
        start: the step of the state with which the replay began.
        stop: the last step of the replay, if nothing differs.
        mismatch: the first step that differs from the ledger; None if all are equal bit for bit.
        fields: the columns of the ledger in which that step differs.
    """

    segment: Step
    start: Step
    stop: Step
    mismatch: Step | None
    fields: tuple[str, ...]


class Room(msgspec.Struct, frozen=True):
    """How far elements of a leaf could be off in a false comparison that passes, near ties chosen wrongly included.

    Attributes:
        magnitude: of the elements: the binary exponent of their values, divided by 4 and rounded down.
        size: Euclidean distance; None if it is not finite.
    """

    magnitude: int
    size: float | None


class UsedDecisions(msgspec.Struct, frozen=True):
    """What a comparison took of the prover's decisions (section 14.2).

    Attributes:
        given: number of entries that the opening has for these steps.
        used: number of those that were used: this machine's own value was near a tie, and near the given one.
        farthest: largest distance from a tie, as a share of what is allowed, at which an entry was used.
        choices: how far near ties could have moved the state, if all of them had been chosen wrongly.
        unused: names an entry that was not used, and says why; None if all were used.
    """

    given: Step
    used: Step
    farthest: float | None
    choices: float | None
    unused: str | None


class Compared(msgspec.Struct, frozen=True):
    """A comparison says how far committed steps are from this machine's results, if bits can't decide (section 14.1).

    Distances are Euclidean, over all floating-point leaves, unless stated otherwise. A number that is not finite is
    None.

    Attributes:
        start: the step of the state before; -1 for the comparison of the initial state, which has none.
        stop: the last step.
        outcome: passed within the tolerance, failed, or inconclusive.
        reasons: why, in at most 5 lines.
        update: distance between the committed states before and after.
        noise: largest distance between the results of two compilations on this machine.
        tolerance: the tolerance, calibrated from the noise.
        limit: the largest tolerance that decides, which is a small share of the update.
        error: distance between the committed state after and this machine's.
        l1: l1 distance of the same two states.
        linf: largest difference of an element.
        cosine: cosine distance.
        infinitesimal: whether the update can't be told from rounding.
        segments: the challenged segments among the steps; none for an opening.
        rooms: for each leaf of the state, in its order, how far its elements of each magnitude could be off in a false
            comparison that passes like this one; none where nothing is rounded. Empty if this one does not pass.
        decisions: what was taken of the prover's decisions; None if none were used, or without them it passes.
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
    rooms: tuple[tuple[Room, ...], ...] = ()
    decisions: UsedDecisions | None = None

    @property
    def span(self) -> Span:
        """Return the steps that were compared; a comparison of the initial state has none."""
        return Span(self.start, self.stop)

    @property
    def is_initial(self) -> bool:
        """Return whether this compares the initial state, to which no step leads."""
        return self.start < 0

    @property
    def passed(self) -> bool:
        """Return whether the error is within the tolerance."""
        return self.outcome is Outcome.PASSED

    @property
    def allowed(self) -> float | None:
        """Return the largest error that passes although bits differ, with what wrong choices near ties could move."""
        if self.tolerance is None or self.limit is None:
            return None
        if self.decisions is None:
            return min(self.tolerance, self.limit)
        return None if self.decisions.choices is None else min(self.tolerance, self.limit) + self.decisions.choices

    @property
    def severity(self) -> tuple[int, float]:
        """Return a sort key that is greatest for failed comparisons, then inconclusive ones, then large errors."""
        ranks = (Outcome.NOT_REACHED, Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.FAILED)
        return ranks.index(self.outcome), self.relative(self.error)

    def relative(self, distance: float | None) -> float:
        """Return a distance as a share of the update; it is infinite if one is not finite, or only the update is 0."""
        if distance is None or self.update is None:
            return math.inf
        return distance / self.update if self.update else math.inf if distance else 0.0


class Drift(msgspec.Struct, frozen=True):
    """A drift says how far false or tolerated steps could have moved the final state (section 13.1).

    Distances are Euclidean, over all floating-point leaves. A field is None if it is not finite or not known: an
    opening has no checkpoints.

    Attributes:
        distance: distance from the initial to the final state, over the values that are finite in both.
        path: sum of all updates from checkpoint to checkpoint.
        unchecked: sum of the largest updates that were not checked: as many as could be false without the draw having
            met one with ``confidence``; all of them, if the prover could foresee what was checked.
        confidence: confidence of the policy; None if ``unchecked`` has all updates that were not checked.
        tolerated: error of the whole run if every step had the error that was tolerated in the steps that passed; 0 if
            all are equal bit for bit.
        d_ref: a distance between two honest trainings, as the verifier gave it.
        updates: number of updates that were measured.
        infinitesimal: number of them that are far below the median update.
        share: largest share of a leaf's own distance from the initial to the final state that tolerated errors could
            make up over the run, of all its elements or of those up to some magnitude; None if that is not finite, and
            0 if all is equal bit for bit.
        leaf: path of that leaf; None if no tolerance was needed, or the distances are not known.
    """

    distance: float | None
    path: float | None
    unchecked: float | None
    confidence: float | None
    tolerated: float | None
    d_ref: float | None
    updates: Step
    infinitesimal: Step
    share: float | None = 0.0
    leaf: str | None = None


class Provenance(msgspec.Struct, frozen=True):
    """A provenance says where an initial state comes from, according to the commitment (section 2.1).

    Leaves that are not taken over come from the key of step 0.

    Attributes:
        beginning: its own key alone, leaves of an earlier proof's final state, or weights that no proof is about.
        claim: hex digest of the claim of the earlier proof, or None.
        digest: hex state digest of the leaves that were taken over, or None.
        taken: paths of the leaves that were taken over.
        values: how many numbers these leaves hold.
        leaves: number of leaves of the state.
    """

    beginning: Beginning
    claim: str | None
    digest: str | None
    taken: tuple[str, ...]
    values: int
    leaves: Step


class Ancestor(msgspec.Struct, frozen=True):
    """An ancestor is an earlier proof from which the initial state comes, directly or not, and the verdict on it.

    Attributes:
        claim: hex digest of its claim.
        verdict: the verdict on it, with the same nonce.
        reasons: the reasons for that verdict.
        task: the prover's name for its task.
        policy: the policy by which it was challenged.
        coverage: what of it was replayed; None if no challenge was drawn.
        provenance: where its own initial state comes from; None if its commitment could not be read.
        program_origin: whether its program is the verifier's own export.
        mode: how it was accepted, itself and what it comes from; None if it was not.
        drift: what false or tolerated steps could have done in it; None if nothing that was challenged passed.
    """

    claim: str
    verdict: Verdict
    reasons: tuple[str, ...]
    task: str | None
    policy: Policy | StepPolicy
    coverage: Coverage | None
    provenance: Provenance | None
    program_origin: Origin
    mode: Mode | None = None
    drift: Drift | None = None

    @property
    def tolerated(self) -> float:
        """Return how far tolerances could have led this run astray: infinite if they bound nothing."""
        if self.verdict is not Verdict.ACCEPTED or self.mode is Mode.BITS:
            return 0.0
        return math.inf if self.drift is None or self.drift.tolerated is None else self.drift.tolerated

    @property
    def share(self) -> float:
        """Return which share of a leaf's distance in this run tolerances could make up: infinite if it is not known."""
        if self.verdict is not Verdict.ACCEPTED or self.mode is Mode.BITS:
            return 0.0
        return math.inf if self.drift is None or self.drift.share is None else self.drift.share


class NonFinite(msgspec.Struct, frozen=True):
    """A leaf of the final state that holds a NaN or an infinity.

    Attributes:
        path: of the leaf.
        values: how many of its values are not finite.
        size: how many values it has.
    """

    path: str
    values: Step
    size: Step


class KolmogorovSmirnov(msgspec.Struct, frozen=True):
    """A Kolmogorov-Smirnov test says whether random leaves of the initial state look as ``init`` draws them.

    It is information, and decides nothing (section 13.4).

    Attributes:
        leaves: number of leaves that were tested.
        smallest_p: the smallest p-value of the leaves, times their number, at most 1: how likely an honest state has a
            leaf that is as unusual as the most unusual one.
        path: path of that leaf.
    """

    leaves: Step
    smallest_p: float
    path: str


class Report(msgspec.Struct, frozen=True):
    """A report is the result of a verification.

    Attributes:
        format: version of the format of reports.
        rules: number of the rules by which the verifier judged (docs/protocol.md, section 13).
        verdict: accepted, rejected or inconclusive.
        mode: how the proof was accepted, with all that it comes from: bit for bit, or within a tolerance; None if it
            was not accepted.
        exact: whether the verifier asked that nothing be accepted within a tolerance.
        reasons: what nobody has shown about the initial state, then the reasons for the verdict; one line each.
        provenance: where the initial state comes from; None if stage 3 was not passed.
        ancestors: the earlier proofs that it comes from, as far as they were verified, the latest first.
        stages: the results of all nine stages.
        claim: hex digest of the claim; None if it could not be read.
        commitment: hex digest of the commitment; None if it could not be read.
        task: the prover's name for the task, which is never trusted; None if stage 3 was not passed.
        nonce: the nonce in hex, which decides the draw.
        policy: the policy, which decides the draw.
        coverage: what was replayed; None if no challenge was drawn.
        self_test: the replay of the first steps; None if it was not made.
        replays: the replays of the covered segments.
        curve: the loss in the ledger, at most 200 points; empty if stage 4 was not passed.
        initial_test: a statistical test of the initial state; None if it was not made or nothing is random.
        compared: steps whose bits differ on this machine without saying anything, compared within a tolerance.
        updates: distances between checkpoints, at most 200, by the policy's metric or else l2; empty for an opening.
        drift: what false or tolerated steps could have done; None if nothing that was challenged passed.
        claimed_environment: the environment in which the run was made, as the prover says.
        environment: the environment of the verification.
        program_origin: whether the program is the one that the verifier exports from source that it trusts.
        interventions: changes of the state from outside the program, as the claim names them.
        may_stop_early: whether the prover could choose where the run ends; None if stage 3 was not passed.
        non_finite: the leaves of the final state that hold a NaN or an infinity; empty if the final state is not there.
    """

    format: Format
    rules: int
    verdict: Verdict
    mode: Mode | None
    exact: bool
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
    non_finite: tuple[NonFinite, ...]
    interventions: tuple[Intervention, ...]
    may_stop_early: bool | None

    def __repr__(self) -> str:
        """Return verdict, mode and coverage in one line; `pol_jax.html.render` makes a page of all."""
        mode = f", {self.mode}" if self.mode else ""
        seen = self.coverage
        covered = f", {seen.steps_replayed} of {seen.steps} steps replayed" if seen else ""
        return f"<Report: {self.verdict}{mode}{covered}, {len(self.reasons)} reasons>"

    @classmethod
    def from_json(cls, content: bytes | str) -> Report:
        """Return the report that `to_json` wrote; a verifier signs it, or whoever reads it trusts where it is from.

        Raises:
            UsageError: the content is no report of this version.
        """
        try:
            return msgspec.json.decode(content, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise errors.UsageError(f"this is no report: {error}") from error

    def __bool__(self) -> bool:
        """Return whether the proof is accepted."""
        return self.verdict is Verdict.ACCEPTED

    @classmethod
    def unfinished(
        cls, policy: Policy | StepPolicy, nonce: bytes, environment: Environment, *, exact: bool = False
    ) -> Report:
        """Return the report on a verification that has reached no stage and found nothing yet.

        Its verdict is "rejected": what is not shown to be true is not accepted.
        """
        return cls(
            format=FORMAT,
            rules=RULES,
            verdict=Verdict.REJECTED,
            mode=None,
            exact=exact,
            reasons=(),
            provenance=None,
            ancestors=(),
            stages=tuple(StageResult.of(stage, Outcome.NOT_REACHED) for stage in Stage),
            claim=None,
            commitment=None,
            task=None,
            nonce=nonce.hex(),
            policy=policy,
            coverage=None,
            self_test=None,
            replays=(),
            curve=(),
            updates=(),
            claimed_environment=None,
            environment=environment,
            program_origin=Origin.NOT_COMPARED,
            compared=(),
            drift=None,
            initial_test=None,
            non_finite=(),
            interventions=(),
            may_stop_early=None,
        )

    def with_stage(self, stage: Stage, outcome: Outcome, detail: str = "") -> Report:
        """Return the report with the result of a stage in its place."""
        result = StageResult.of(stage, outcome, detail)
        stages = tuple(result if each.number == stage.value else each for each in self.stages)
        return msgspec.structs.replace(self, stages=stages)

    def to_json(self) -> bytes:
        """Return the report as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def json_schema() -> bytes:
    """Return the JSON Schema of reports, which ``docs/report.schema.json`` holds."""
    schema = msgspec.json.schema(Report)
    for definition in schema["$defs"].values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"
