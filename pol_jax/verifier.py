"""Verification: the nine stages in order, each told by its number in the documents, here and in the report."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pol_jax import commitment as commitments
from pol_jax.challenge import (
    JointSegments,
    Policy,
    RandomSegments,
    Stretch,
    by_chance,
    check_policy,
    draw,
    metric_of,
)
from pol_jax.checks import (
    Checked,
    check_commitment,
    check_files,
    check_inputs,
    check_ledger,
    check_names,
    check_states,
)
from pol_jax.claim import Claim
from pol_jax.commitment import Commitment
from pol_jax.curves import Curve, Point, Update, thin
from pol_jax.encoding import FORMAT
from pol_jax.environment import current_environment, differences
from pol_jax.errors import BackendError, DataError, ProofError, UsageError
from pol_jax.inventory import Limits
from pol_jax.ledger import Segments
from pol_jax.magnitudes import measure
from pol_jax.progress import Progress, Silent
from pol_jax.replay import Piece, Replayed, Replayer
from pol_jax.report import STAGES, Coverage, Outcome, Replay, Report, Stage, Verdict
from pol_jax.sampling import detection_probability, false_segments
from pol_jax.task import BUILT_IN, Source, load_task
from pol_jax.verdict import Evidence, Judgement, judge

SELF_TEST_STEPS = 10
"""How many first steps show whether this backend can judge exactly."""


def verify(
    path: Path | str,
    source: Source | Callable[[Commitment], Source] | None = None,
    *,
    policy: Policy | None = None,
    nonce: bytes | None = None,
    limits: Limits | None = None,
    secret: bytes | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check a proof and replay a part of it.

    Args:
        path: the proof's directory.
        source: the training records, from where the verifier trusts them; only challenged ones are read. A function
            is asked for them once stages 1 to 6 are passed. None for those of the built-in task that the proof names.
        policy: which segments to replay; None for random ones, 99% sure to meet a false segment if 5% are false.
        nonce: decides the draw; None for a fresh one, which the prover can't have foreseen.
        limits: bounds on what is read.
        secret: 32 bytes that salt the records of a private data set.
        progress: told of the replayed steps.

    Raises:
        UsageError: no proof there, no records, or a policy that would check nothing.
    """
    root = Path(path)
    if not root.is_dir():
        raise UsageError(f"{root}: no such directory")
    if not any((root / name).exists() for name in ("commitment.json", "claim.json", "inventory.json")):
        raise UsageError(f"{root}: no proof here; expected a directory with {commitments.FILE}")
    verification = _Verification(
        root,
        built_in_source() if source is None else source,
        check_policy(policy or RandomSegments()),
        secrets.token_bytes(16) if nonce is None else nonce,
        limits or Limits(),
        secret,
        progress or Silent(),
    )
    with suppress(_Stopped):
        verification.go_on()
    return verification.report()


def built_in_source(data_dir: Path | None = None) -> Callable[[Commitment], Source]:
    """Finds the records of the built-in task that a proof names.

    The name is the proof's, but it only chooses among the verifier's own; the records are then held against the
    commitment.
    """

    def find(commitment: Commitment) -> Source:
        name = commitment.task.name
        if name not in BUILT_IN:
            raise UsageError(
                f"the proof's task {name!r} is none of {', '.join(BUILT_IN)}: say where its records are (--task)"
            )
        return load_task(name, data_dir=data_dir).source

    return find


class _Stopped(Exception):
    """A stage failed; those behind it are not reached."""


@dataclass
class _Verification:
    """One verification under way."""

    root: Path
    source: Source | Callable[[Commitment], Source]
    policy: Policy
    nonce: bytes
    limits: Limits
    secret: bytes | None
    progress: Progress
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

    def go_on(self) -> None:
        """Stages 1 to 9."""
        with self._stage(1) as seen:
            sizes = check_names(self.root, self.limits)
            seen.append(f"{len(sizes)} files, {sum(sizes.values())} bytes")
        with self._stage(2) as seen:
            claim = self.claim = check_files(self.root, sizes, self.limits)
            seen.append(f"{len(sizes) - 1} digests")
        with self._stage(3) as seen:
            checked = check_commitment(self.root, claim, self.limits)
            self.task = checked.proof.commitment.task.name
            seen.append(f"{len(checked.records)} records, programs match")
        with self._stage(4) as seen:
            curve = Curve(claim.steps)
            states = check_ledger(checked.proof, claim, curve)
            self.curve = curve.points()
            seen.append(f"{claim.steps + 1} rows")
        with self._stage(5) as seen:
            check_inputs(checked.proof, claim, checked.records)
            seen.append(f"{claim.steps + 1} rows re-derived")
        with self._stage(6) as seen:
            check_states(checked.proof, states)
            seen.append(f"{len(states)} checkpoints")
            metric = metric_of(self.policy)
            stretches = measure(checked.proof, metric, self.progress) if metric else []
            seen += [f"{len(stretches)} updates measured"] if metric else []
            self.updates = thin([_update(each, checked.proof.segments) for each in stretches])
        self._judge(checked, claim, stretches)

    def report(self) -> Report:
        """What was found so far."""
        rest = range(len(self.stages) + 1, len(STAGES) + 1)
        return Report(
            format=FORMAT,
            verdict=self.verdict,
            reasons=self.reasons,
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
            claimed_environment=self.claim.environment if self.claim else None,
            environment=current_environment(),
        )

    @contextmanager
    def _stage(self, number: int) -> Iterator[list[str]]:
        seen: list[str] = []
        self.progress.stage(number)
        try:
            yield seen
        except (ProofError, BackendError) as error:
            undecided = isinstance(error, BackendError)
            self.verdict = Verdict.INCONCLUSIVE if undecided else Verdict.REJECTED
            self._note(number, Outcome.INCONCLUSIVE if undecided else Outcome.FAILED, str(error))
            self.reasons = (f"stage {number}, {STAGES[number - 1]}: {error}",)
            raise _Stopped from error
        self._note(number, Outcome.PASSED, "; ".join(seen))

    def _note(self, number: int, outcome: Outcome, detail: str) -> None:
        self.stages.append(Stage(number, STAGES[number - 1], outcome, detail))

    def _judge(self, checked: Checked, claim: Claim, stretches: Sequence[Stretch]) -> None:
        """Stages 7 to 9. What an initial state with other bits means, only the self-test of stage 9 can tell."""
        drawn = draw(self.policy, len(checked.proof.segments), claim.digest(), self.nonce, stretches)
        segments = checked.proof.segments
        self.coverage = _coverage(self.policy, drawn, [], segments)
        steps = sum(stop - start for start, stop in map(segments.bounds, drawn))
        challenge = f"{len(drawn)} of {len(segments)} segments, {steps} steps"
        source = self.source if isinstance(self.source, Source) else self.source(checked.proof.commitment)
        replayer = Replayer(checked, source, self.secret, self.progress)
        changed = differences(claim.environment, current_environment())
        self.progress.stage(9)
        self.progress.begin("replaying", steps + min(SELF_TEST_STEPS, claim.steps))
        try:
            evidence = _gather(replayer, drawn, changed)
            judgement = judge(evidence)
            self.coverage = _coverage(self.policy, drawn, evidence.segments, segments)
            self.self_test = _replay(0, evidence.self_test)
            self.replays = tuple(map(_replay, self.coverage.replayed, evidence.segments))
        except (DataError, BackendError, ProofError) as error:
            judgement = _broken_off(error)
        finally:
            self.progress.end()
        self.verdict, self.reasons = judgement.verdict, judgement.reasons
        self._note(7, judgement.initial, "re-derived from its key")
        self._note(8, Outcome.PASSED, challenge)
        self._note(9, judgement.replay, judgement.seen)


def _broken_off(error: DataError | BackendError | ProofError) -> Judgement:
    """A replay that could not be ended; a proof whose files changed since they were checked is no proof."""
    if isinstance(error, ProofError):
        reason = f"stage 9, {STAGES[8]}: {error}"
        return Judgement(Verdict.REJECTED, (reason,), Outcome.INCONCLUSIVE, Outcome.FAILED, str(error))
    what = "with these records" if isinstance(error, DataError) else "here"
    reason = f"stage 9, {STAGES[8]}: cannot judge {what}: {error}"
    return Judgement(Verdict.INCONCLUSIVE, (reason,), Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE, str(error))


def _gather(replayer: Replayer, drawn: Sequence[int], changed: Sequence[str]) -> Evidence:
    """Replay the self-test and the challenged segments; the first that differs twice."""
    initial = replayer.initial_is_exact()
    self_test = Piece(0, SELF_TEST_STEPS)
    (first,) = replayer.replay([self_test])
    hopeless = changed and not first.exact
    pieces = [] if hopeless else [Piece(segment) for segment in drawn]
    segments = list(replayer.replay(pieces))
    false = [pair for pair in zip([self_test, *pieces], [first, *segments], strict=True) if not pair[1].exact][:1]
    again = list(replayer.replay(piece for piece, _ in false))
    return Evidence(changed, initial, first, segments, repeatable=again == [replayed for _, replayed in false])


def _replay(segment: int, replayed: Replayed) -> Replay:
    return Replay(segment, replayed.start, replayed.stop, replayed.mismatch, replayed.fields)


def _update(stretch: Stretch, segments: Segments) -> Update:
    (start, _), (_, stop) = segments.bounds(stretch.segments[0]), segments.bounds(stretch.segments[-1])
    return Update(start, stop, stretch.magnitude if math.isfinite(stretch.magnitude) else None)


def _coverage(policy: Policy, drawn: Sequence[int], replayed: Sequence[Replayed], segments: Segments) -> Coverage:
    """What the replays that were made cover; ``replayed`` are those of the first of ``drawn``."""
    fraction = policy.fraction if isinstance(policy, RandomSegments | JointSegments) else RandomSegments().fraction
    chance = by_chance(policy, len(segments), len(replayed))
    false = false_segments(len(segments), fraction)
    return Coverage(
        segments=len(segments),
        replayed=tuple(drawn[: len(replayed)]),
        steps=segments.steps,
        steps_replayed=sum((each.mismatch or each.stop) - each.start for each in replayed),
        fraction=fraction,
        detection=detection_probability(len(segments), false, chance) if chance else 0.0,
    )
