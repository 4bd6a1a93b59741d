"""Verification: the nine stages in order, each told by its number in the documents, here and in the report."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pol_jax import commitment as commitments
from pol_jax.challenge import Policy, RandomSegments, Stretch, check_policy, draw, metric_of
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
from pol_jax.coverage import covered
from pol_jax.crew import Crew
from pol_jax.curves import Curve, Update, thin
from pol_jax.environment import current_environment, differences
from pol_jax.errors import BackendError, DataError, ProofError, UsageError
from pol_jax.inventory import Limits
from pol_jax.ledger import Segments
from pol_jax.magnitudes import measure
from pol_jax.origin import Trusted, origin_of
from pol_jax.progress import Progress, Silent
from pol_jax.replay import Replayed, Replayer
from pol_jax.report import STAGES, Origin, Outcome, Report, Verdict
from pol_jax.route import Piece, route
from pol_jax.staging import Staging, Stopped, replay_of
from pol_jax.task import BUILT_IN, Source, load_task
from pol_jax.verdict import Evidence, Judgement, judge
from pol_jax.workers import check_jobs

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
    trusted: Trusted | None = None,
    same_program: bool = False,
    jobs: int = 1,
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
        trusted: tells which programs the source that the verifier trusts gives (`pol_jax.origin.trust`).
        same_program: accept no others.
        jobs: how many processes replay at the same time; with several, ``source`` is read by several threads.

    Raises:
        UsageError: no proof there, no records, or a policy that would check nothing.
    """
    root = Path(path)
    if not root.is_dir():
        raise UsageError(f"{root}: no such directory")
    if not any((root / name).exists() for name in ("commitment.json", "claim.json", "inventory.json")):
        raise UsageError(f"{root}: no proof here; expected a directory with {commitments.FILE}")
    if same_program and trusted is None:
        raise UsageError("the same program as which? say whose source is trusted (--task)")
    verification = _Verification(
        root=root,
        source=built_in_source() if source is None else source,
        policy=check_policy(policy or RandomSegments()),
        nonce=secrets.token_bytes(16) if nonce is None else nonce,
        limits=limits or Limits(),
        secret=secret,
        progress=progress or Silent(),
        environment=current_environment(),
        trusted=trusted,
        same_program=same_program,
        jobs=check_jobs(jobs),
    )
    with suppress(Stopped):
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


@dataclass(kw_only=True)
class _Verification(Staging):
    """The verification of a proof's directory."""

    root: Path
    source: Source | Callable[[Commitment], Source]
    policy: Policy
    limits: Limits
    secret: bytes | None
    trusted: Trusted | None = None
    same_program: bool = False
    jobs: int = 1

    def go_on(self) -> None:
        """Stages 1 to 9."""
        with self.stage(1) as seen:
            sizes = check_names(self.root, self.limits)
            seen.append(f"{len(sizes)} files, {sum(sizes.values())} bytes")
        with self.stage(2) as seen:
            claim = self.claim = check_files(self.root, sizes, self.limits)
            seen.append(f"{len(sizes) - 1} digests")
        with self.stage(3) as seen:
            checked = check_commitment(self.root, claim, self.limits)
            self.task = checked.proof.commitment.task.name
            seen.append(f"{len(checked.records)} records, programs match")
            seen.append(f"{checked.program.constant_bytes} bytes of constants")
            seen += self._compared(checked, claim)
        with self.stage(4) as seen:
            curve = Curve(claim.steps)
            states = check_ledger(checked.proof, claim, curve)
            self.curve = curve.points()
            seen.append(f"{claim.steps + 1} rows")
        with self.stage(5) as seen:
            check_inputs(checked.proof, claim, checked.records)
            seen.append(f"{claim.steps + 1} rows re-derived")
        with self.stage(6) as seen:
            checkpoints = check_states(checked.proof, states)
            seen.append(f"{len(checkpoints)} checkpoints")
            metric = metric_of(self.policy)
            stretches = measure(checked.proof, metric, self.progress) if metric else []
            seen += [f"{len(stretches)} updates measured"] if metric else []
            self.updates = thin([_update(each, checked.proof.segments) for each in stretches])
        self._judge(checked, claim, checkpoints, stretches)

    def _compared(self, checked: Checked, claim: Claim) -> list[str]:
        """How the proof's programs stand to the trusted source."""
        if self.trusted is None:
            return []
        expected = self.trusted(checked.proof.commitment, claim.steps)
        self.origin, words = origin_of(checked.proof.artifacts(), expected)
        if self.same_program and self.origin is Origin.DIFFERS:
            raise _other_program(words, claim)
        return [words]

    def _judge(self, checked: Checked, claim: Claim, checkpoints: Sequence[int], stretches: Sequence[Stretch]) -> None:
        """Stages 7 to 9. What an initial state with other bits means, only the self-test of stage 9 can tell."""
        drawn = draw(self.policy, len(checked.proof.segments), claim.digest(), self.nonce, stretches)
        segments = checked.proof.segments
        pieces = route(drawn, segments, checkpoints)
        self.coverage = covered(self.policy, pieces, [], segments)
        steps = sum(piece.stop - piece.start for piece in pieces)
        challenge = f"{len(drawn)} of {len(segments)} segments, {steps} steps to replay"
        source = self.source if isinstance(self.source, Source) else self.source(checked.proof.commitment)
        replayer = Crew(checked, source, self.secret, self.progress, self.jobs)
        changed = differences(claim.environment, self.environment)
        self.progress.stage(9)
        self.progress.begin("replaying", steps + min(SELF_TEST_STEPS, claim.steps))
        try:
            evidence, replays = _gather(replayer, pieces, segments, changed)
            judgement = judge(evidence)
            self.coverage = covered(self.policy, pieces, replays, segments)
            self.self_test = replay_of(0, evidence.self_test) if evidence.self_test else None
            self.replays = tuple(map(replay_of, self.coverage.replayed, evidence.segments))
        except (DataError, BackendError, ProofError) as error:
            judgement = _broken_off(error)
        finally:
            self.progress.end()
        self.verdict, self.reasons = judgement.verdict, judgement.reasons
        self.note(7, judgement.initial, "re-derived from its key")
        self.note(8, Outcome.PASSED, challenge)
        self.note(9, judgement.replay, judgement.seen)


def _other_program(words: str, claim: Claim) -> ProofError | BackendError:
    """A refusal where this jax is the prover's; another jax may write the same program down in another way."""
    theirs, mine = claim.environment, current_environment()
    changed = [line for line in differences(theirs, mine) if line.startswith(("jax: ", "jaxlib: "))]
    if changed:
        return BackendError(f"program: {words}, or were exported by another jax ({'; '.join(changed)})")
    return ProofError("program", words)


def _broken_off(error: DataError | BackendError | ProofError) -> Judgement:
    """A replay that could not be ended; a proof whose files changed since they were checked is no proof."""
    if isinstance(error, ProofError):
        reason = f"stage 9, {STAGES[8]}: {error}"
        return Judgement(Verdict.REJECTED, (reason,), Outcome.INCONCLUSIVE, Outcome.FAILED, str(error))
    what = "with these records" if isinstance(error, DataError) else "here"
    reason = f"stage 9, {STAGES[8]}: cannot judge {what}: {error}"
    return Judgement(Verdict.INCONCLUSIVE, (reason,), Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE, str(error))


def _gather(
    replayer: Replayer, pieces: Sequence[Piece], segments: Segments, changed: Sequence[str]
) -> tuple[Evidence, list[Replayed]]:
    """Replay the self-test and the pieces with the challenged segments; the first that differs twice.

    Returns:
        What that shows, and the replays of ``pieces``.
    """
    initial = replayer.initial_is_exact()
    self_test = Piece(0, min(SELF_TEST_STEPS, segments.bounds(0)[1]))
    (first,) = replayer.replay([self_test])
    hopeless = changed and not first.exact
    pieces = [] if hopeless else pieces
    replays = list(replayer.replay(pieces))
    false = [pair for pair in zip([self_test, *pieces], [first, *replays], strict=True) if not pair[1].exact][:1]
    again = list(replayer.replay(piece for piece, _ in false))
    challenged = [
        replayed.of(*segments.bounds(segment))
        for piece, replayed in zip(pieces, replays, strict=True)
        for segment in piece.segments
    ]
    repeatable = again == [replayed for _, replayed in false]
    return Evidence(changed, initial, first, challenged, repeatable), replays


def _update(stretch: Stretch, segments: Segments) -> Update:
    (start, _), (_, stop) = segments.bounds(stretch.segments[0]), segments.bounds(stretch.segments[-1])
    return Update(start, stop, stretch.magnitude if math.isfinite(stretch.magnitude) else None)
