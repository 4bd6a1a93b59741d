"""Verification: the nine stages in order, each told by its number in the documents, here and in the report."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pol_jax.errors import BackendError, DataError, ProofError, UsageError
from pol_jax.judging.coverage import covered_segments
from pol_jax.judging.drift import Trajectory, drift_of
from pol_jax.judging.verdict import Judgement, with_origin_doubt
from pol_jax.program.machine import current_environment
from pol_jax.progress import Progress, Silent, WithinStage
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.challenge import ListedSegments, Policy, RandomSegments, Stretch, check_policy, draw, metric_of
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.environment import environment_differences
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.spans import Segments, routes
from pol_jax.protocol.stages import Stage
from pol_jax.reports.curves import Curve, Update, thin
from pol_jax.reports.report import Origin, Outcome, Report, Verdict
from pol_jax.storage.checkpoints import checkpoint_name, load_checkpoint
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.task import BUILT_IN, Source, load_task
from pol_jax.verifying.ancestry import Lineage, check_taken, know, provenance_of, trace
from pol_jax.verifying.challenged_segments import check_segments, self_test_of
from pol_jax.verifying.checks import (
    Checked,
    check_commitment,
    check_files,
    check_inputs,
    check_ledger,
    check_names,
    check_states,
)
from pol_jax.verifying.initial_test import ks_test
from pol_jax.verifying.proof_material import ProofMaterial
from pol_jax.verifying.replay import MakeReplayer, Replayer
from pol_jax.verifying.stages import Staging, Stopped
from pol_jax.verifying.trusted_program import Trusted, origin_of
from pol_jax.verifying.update_sizes import measure_stretches


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
    d_ref: float | None = None,
    parents: Iterable[Path | str] = (),
    replayer: MakeReplayer = Replayer,
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
        trusted: tells which programs the source that the verifier trusts gives (see `trust`).
        same_program: accept no others.
        d_ref: a distance between two honest trainings of the task, against which drift is measured too.
        parents: directories of proofs that the initial state may come from; those that it does come from are verified
            in the same way, each with its records from ``source``, before this proof's segments are replayed.
        replayer: makes what replays the segments; the usual one replays in this process.

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
    limits = limits or Limits()
    verification = _Verification(
        root=root,
        source=built_in_source() if source is None else source,
        policy=check_policy(policy or RandomSegments()),
        nonce=secrets.token_bytes(16) if nonce is None else nonce,
        limits=limits,
        secret=secret,
        progress=progress or Silent(),
        environment=current_environment(),
        trusted=trusted,
        same_program=same_program,
        d_ref=d_ref,
        make_replayer=replayer,
        lineage=know(map(Path, parents), limits),
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
    trusted: Trusted | None
    same_program: bool
    lineage: Lineage
    make_replayer: MakeReplayer

    def go_on(self) -> None:
        """Stages 1 to 9."""
        with self.stage(Stage.LIMITS_AND_NAMES) as seen:
            sizes = check_names(self.root, self.limits)
            seen.append(f"{len(sizes)} files, {sum(sizes.values())} bytes")
        with self.stage(Stage.FILES_AGAINST_CLAIM) as seen:
            claim = self.claim = check_files(self.root, sizes, self.limits)
            seen.append(f"{len(sizes) - 1} digests")
        with self.stage(Stage.COMMITMENT) as seen:
            checked = check_commitment(self.root, claim, self.limits)
            self.task = checked.proof.commitment.task.name
            self.provenance = provenance_of(checked.proof.commitment)
            seen.append(f"{len(checked.records)} records, programs match")
            seen.append(f"{checked.program.constant_bytes} bytes of constants")
            seen += self._compared(checked, claim)
        with self.stage(Stage.LEDGER) as seen:
            curve = Curve(claim.steps)
            states = check_ledger(checked.proof, claim, curve)
            self.curve = curve.points()
            seen.append(f"{claim.steps + 1} rows")
        with self.stage(Stage.KEYS_AND_ORDER) as seen:
            check_inputs(checked.proof, claim, checked.records)
            seen.append(f"{claim.steps + 1} rows re-derived")
        with self.stage(Stage.STATE_DIGESTS) as seen:
            trajectory = Trajectory(checked.proof.commitment.state)
            checkpoints = check_states(checked.proof, states, trajectory.add)
            seen.append(f"{len(checkpoints)} checkpoints")
            metric = metric_of(self.policy)
            stretches = measure_stretches(checked.proof, metric, self.progress) if metric else []
            seen += [f"{len(stretches)} updates measured"] if metric else []
            ranked = [_update(each, checked.proof.segments) for each in stretches]
            self.updates = thin(ranked if metric else trajectory.updates)
        with self.attempt(Stage.INITIAL_STATE):
            doubt = self._trace(checked, claim)
        self._judge(checked, claim, checkpoints, stretches, trajectory, doubt)

    def _compared(self, checked: Checked, claim: Claim) -> list[str]:
        """How the proof's programs stand to the trusted source."""
        if self.trusted is None:
            return []
        expected = self.trusted(checked.proof.commitment, claim.steps)
        self.origin, words = origin_of(checked.proof.artifacts(), expected)
        if self.same_program and self.origin is Origin.DIFFERS:
            raise _other_program(words, claim)
        return [words]

    def _trace(self, checked: Checked, claim: Claim) -> str | None:
        """Check what the initial state takes over, and the proofs that it comes from; why they leave a doubt, if so."""
        proof = checked.proof
        initial = load_checkpoint(proof.root, 0, proof.commitment.state)
        check_taken(proof.commitment, initial, checkpoint_name(0))
        traced = trace(proof.commitment, claim, self.lineage, self._verify_ancestor, self.limits)
        self.ancestors = traced.ancestors
        if traced.refusal:
            raise ProofError(commitments.FILE, f"initial: {traced.refusal}")
        self.initial_test = ks_test(checked.program, proof.commitment, initial)
        return traced.doubt

    def _verify_ancestor(self, root: Path, lineage: Lineage) -> Report:
        """Verify an earlier proof like this one; a list of segments is about this one, so there they are random."""
        policy = RandomSegments() if isinstance(self.policy, ListedSegments) else self.policy
        earlier = _Verification(
            root=root,
            source=self.source,
            policy=policy,
            nonce=self.nonce,
            limits=self.limits,
            secret=self.secret,
            progress=WithinStage(self.progress, 7),
            environment=self.environment,
            trusted=self.trusted,
            same_program=self.same_program,
            lineage=lineage,
            make_replayer=self.make_replayer,
        )
        with suppress(Stopped):
            earlier.go_on()
        return earlier.report()

    def _judge(
        self,
        checked: Checked,
        claim: Claim,
        checkpoints: Sequence[int],
        stretches: Sequence[Stretch],
        trajectory: Trajectory,
        doubt: str | None,
    ) -> None:
        """Stages 7 to 9. What an initial state with other bits means, only the self-test of stage 9 can tell."""
        drawn = draw(self.policy, len(checked.proof.segments), claim.digest(), self.nonce, stretches)
        segments = checked.proof.segments
        challenged = routes(map(segments.span, drawn), checkpoints)
        self.coverage = covered_segments(self.policy, challenged, [], segments)
        steps = sum(len(route.span.steps) for route in challenged)
        challenge = f"{len(drawn)} of {len(segments)} segments, {steps} steps to replay"
        source = self.source if isinstance(self.source, Source) else self.source(checked.proof.commitment)
        replayer = self.make_replayer(checked, source, self.secret, self.progress)
        material = ProofMaterial(checked, source, CommittedRecords(checked.records, self.secret))
        changed = environment_differences(claim.environment, self.environment)
        self.progress.stage(9)
        self.progress.begin("replaying", steps + self_test_of(segments).stop)
        try:
            found = check_segments(material, replayer, self.policy, challenged, checkpoints, changed, self.progress)
            judgement, self.coverage, self.compared = found.judgement, found.coverage, found.compared
            self.self_test, self.replays = found.self_test, found.replays
            self.drift = drift_of(
                trajectory, self.policy, len(segments), found.confirmed, self.compared, claim.steps, self.d_ref
            )
        except (DataError, BackendError, ProofError) as error:
            judgement = _broken_off(error)
        finally:
            self.progress.end()
        judgement = with_origin_doubt(judgement, doubt)
        self.judged(judgement)
        self.note(Stage.INITIAL_STATE, judgement.initial, self.seen_of_initial())
        self.note(Stage.CHALLENGE, Outcome.PASSED, challenge)
        self.note(Stage.REPLAY, judgement.replay, judgement.seen)


def _other_program(words: str, claim: Claim) -> ProofError | BackendError:
    """A refusal where this jax is the prover's; another jax may write the same program down in another way."""
    theirs, mine = claim.environment, current_environment()
    changed = [line for line in environment_differences(theirs, mine) if line.startswith(("jax: ", "jaxlib: "))]
    if changed:
        return BackendError(f"program: {words}, or were exported by another jax ({'; '.join(changed)})")
    return ProofError("program", words)


def _broken_off(error: DataError | BackendError | ProofError) -> Judgement:
    """A replay that could not be ended; a proof whose files changed since they were checked is no proof."""
    if isinstance(error, ProofError):
        reason = f"{Stage.REPLAY}: {error}"
        return Judgement(Verdict.REJECTED, (reason,), Outcome.INCONCLUSIVE, Outcome.FAILED, str(error))
    what = "with these records" if isinstance(error, DataError) else "here"
    reason = f"{Stage.REPLAY}: cannot judge {what}: {error}"
    return Judgement(Verdict.INCONCLUSIVE, (reason,), Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE, str(error))


def _update(stretch: Stretch, segments: Segments) -> Update:
    start, stop = segments.span(stretch.segments[0]).start, segments.span(stretch.segments[-1]).stop
    return Update(start, stop, stretch.magnitude if math.isfinite(stretch.magnitude) else None)
