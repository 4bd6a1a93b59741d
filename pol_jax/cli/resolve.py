"""``pol resolve`` verifies two proofs in the same way, and rules decide between them (attestation.md, section 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pol_jax.cli.arguments import parse_nonce
from pol_jax.cli.documents import refuse_bundle
from pol_jax.cli.report_screen import check_outputs
from pol_jax.cli.terminal import Bars, quiet_libraries, say
from pol_jax.cli.verifier_options import VerifierOptions
from pol_jax.errors import ACCEPTED, INCONCLUSIVE, REJECTED, PolError, UsageError, printable
from pol_jax.judging.dispute import Resolution, Standing, resolve
from pol_jax.judging.party import Party
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import EarlierProof, Initial, UnprovenWeights
from pol_jax.protocol.policies import AllSegments, ListedSegments, Policy, RandomSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.reports.wording.coverage import describe_coverage
from pol_jax.reports.wording.identity import describe_authorship
from pol_jax.reports.wording.verdicts import describe_verdict
from pol_jax.sandbox.apart import verify_proof_apart
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.proof import open_proof
from pol_jax.training.task import Source
from pol_jax.verifying.request import ProofRequest, absolute_path, fresh_nonce
from pol_jax.verifying.trusted_program import Trusted, trust_built_in

_CODES: Final = {Standing.NEITHER: REJECTED, Standing.UNDECIDED: INCONCLUSIVE}


def resolve_command(
    first: Path, second: Path, options: VerifierOptions, *, parent: tuple[Path, ...], everything: bool
) -> int:
    """Verify both proofs, print what was found and whose claim stands, and return the exit code."""
    if first.resolve() == second.resolve():
        raise UsageError(f"{first} and {second}: are the same directory; give two proofs")
    for proof in (first, second):
        refuse_bundle(proof, "a dispute needs the whole one")
    quiet_libraries()
    check_outputs(None, None, options.model)
    verifier = _PartyVerifier(
        policy=_policy(everything, options.chance),
        nonce=parse_nonce(options.nonce) or fresh_nonce(),
        fields=options.request_fields() | {"records": options.records},
        trusted=options.trusted() or trust_built_in(options.data_dir),
        source=options.source(),
    )
    reports: dict[Path, Report] = {}
    parents: dict[Path, tuple[Path, ...]] = {}
    # The earlier one first: only if it is accepted may it be the earlier proof of the other one.
    later, earlier = (first, second) if _comes_from(first, second, parent) else (second, first)
    for proof, other in ((earlier, later), (later, earlier)):
        sound = other in reports and reports[other].verdict is Verdict.ACCEPTED and _comes_from(proof, other, parent)
        parents[proof] = (other, *parent) if sound else parent  # a damaged copy of an earlier proof refutes nobody
        reports[proof] = verifier.verify(proof, parents[proof], options.model)
    parties = [
        Party(str(proof), reports[proof], verifier.begins_in(proof, other, reports, parents))
        for proof, other in ((first, second), (second, first))
    ]
    found = resolve(*parties)
    _print(tuple((proof, reports[proof]) for proof in (first, second)), found, verifier.nonce)
    return _CODES.get(found.standing, ACCEPTED)


@dataclass(frozen=True, kw_only=True)
class _PartyVerifier:
    """This verifier asks the same of both parties: one policy, one nonce, one source.

    Attributes:
        policy: what is replayed.
        nonce: decides the draws.
        fields: what else a request asks.
        trusted: tells which programs the source that the verifier trusts gives.
        source: finds the records of a proof.
    """

    policy: Policy
    nonce: bytes
    fields: Mapping[str, Any]
    trusted: Trusted
    source: Callable[[Commitment], Source]

    def verify(
        self, proof: Path, parents: tuple[Path, ...], model: Path | None, policy: Policy | None = None
    ) -> Report:
        """Return the report on a proof."""
        fields = dict(self.fields) | {"model": None if model is None else absolute_path(model)}
        request = ProofRequest(
            path=absolute_path(proof),
            policy=policy or self.policy,
            nonce=self.nonce,
            parents=tuple(map(absolute_path, parents)),
            **fields,
        )
        bars = Bars()
        try:
            return verify_proof_apart(request, self.source, trusted=self.trusted, progress=bars)
        finally:
            bars.end()

    def begins_in(
        self, proof: Path, other: Path, reports: Mapping[Path, Report], parents: Mapping[Path, tuple[Path, ...]]
    ) -> bool:
        """Return whether a proof begins with weights of unproven origin that are the other's final parameters.

        It may do so itself, or by an earlier proof.

        The other one is verified once more for this comparison, by one segment. Weights of a proof that is not
        accepted are not read: whatever they are, they must not keep the other one from its verdict.

        Args:
            proof: the one that begins.
            other: the one that ends.
            reports: on both.
            parents: the earlier proofs with which both were verified.
        """
        if any(reports[each].verdict is not Verdict.ACCEPTED for each in (proof, other)):
            return False
        verified = {each.claim for each in reports[proof].ancestors if each.verdict is Verdict.ACCEPTED}
        for each in (proof, *(earlier for earlier in parents[proof] if _claim(earlier) in verified)):
            if weights := _unproven_weights(each):
                report = self.verify(other, parents[other], weights, ListedSegments((0,)))
                if report.deployed is not None and report.deployed.holds_parameters:
                    return True
        return False


def _unproven_weights(proof: Path) -> Path | None:
    """Return the state with which a proof begins, if it takes over weights of unproven origin."""
    return proof / checkpoint_name(0) if isinstance(_initial(proof), UnprovenWeights) else None


def _comes_from(proof: Path, other: Path, given: tuple[Path, ...]) -> bool:
    """Return whether a proof, or an earlier one that is given, names the other one as its earlier proof."""
    named = {initial.claim for each in (proof, *given) if isinstance(initial := _initial(each), EarlierProof)}
    return _claim(other) in named


def _initial(proof: Path) -> Initial | None:
    try:
        return open_proof(proof).commitment.initial
    except PolError:  # the verification says what is wrong with it
        return None


def _claim(proof: Path) -> str | None:
    try:
        claim = open_proof(proof).claim
    except PolError:
        return None
    return claim.digest().hex() if claim else None


def _policy(everything: bool, chance: dict[str, float]) -> Policy:
    if everything and chance:
        raise UsageError("--all: replays every segment; leave out --confidence and --fraction")
    return AllSegments() if everything else RandomSegments(**chance)


def _print(parties: tuple[tuple[Path, Report], ...], found: Resolution, nonce: bytes) -> None:
    names = [printable(str(path), 4096) for path, _ in parties]
    stands = {Standing.FIRST: f"{names[0]} stands", Standing.SECOND: f"{names[1]} stands"}
    say(stands.get(found.standing, str(found.standing)), style="bold")
    for reason in found.reasons:
        say(printable(reason, 20_000), indent=2)  # names of files in full
    for name, (_, report) in zip(names, parties, strict=True):
        say(f"{name}: {describe_verdict(report)}")
        lines = [describe_authorship(report.authorship)] if report.authorship else list(report.reasons)
        lines += [*report.period.window.describe(), *report.period.unchecked] if report.period else []
        lines += [describe_coverage(report.coverage, report.policy)] if report.coverage else []
        lines += [report.deployed.words] if report.deployed else []
        for line in lines:
            say(printable(line, 1000), indent=2)
    say(f"to repeat the draws: --nonce {nonce.hex()}")
