"""``pol check`` checks what needs no replay, and no jax unless the final checkpoint is asked for.

Lines are collected, and printed if everything held; the first check that fails is the only line, an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pol_jax.attesting import envelope as envelopes
from pol_jax.attesting.anchors import read_anchors
from pol_jax.attesting.attestation import Attestation, check_document, names_prover, read_attestation
from pol_jax.attesting.beacon import BeaconRound, is_round, verify_committed_round
from pol_jax.attesting.digests import digest_arrays, digest_file
from pol_jax.attesting.folder import (
    BEACON,
    CLAIM,
    CLAIM_TOKEN,
    COMMITMENT_TOKEN,
    MAX_ROUND_BYTES,
    find,
    read_attestations,
)
from pol_jax.attesting.subjects import PARAMETERS, STATE
from pol_jax.attesting.time_window import Timestamp, Work, window_of
from pol_jax.attesting.timestamp import MAX_RESPONSE_BYTES, read_roots, verify_token
from pol_jax.attesting.weights import read_weights
from pol_jax.cli.documents import Documents, check_documents, is_bundle
from pol_jax.cli.output_file import proof_around
from pol_jax.cli.terminal import say
from pol_jax.errors import ACCEPTED, INCONCLUSIVE, ProofError, UsageError, printable
from pol_jax.files import read_own_file
from pol_jax.protocol.limits import Limits
from pol_jax.verifying.attestations import check_attestations, recorded_work


@dataclass(frozen=True)
class Tokens:
    """Tokens are the files that say something about time.

    Attributes:
        envelope: an authority's response over the envelope.
        commitment: an authority's response over ``commitment.json``.
        roots: PEM file of the authorities' roots.
        beacon: the round that the commitment names.
    """

    envelope: Path | None
    commitment: Path | None
    roots: Path | None
    beacon: Path | None


@dataclass
class Findings:
    """Findings collect what a check found.

    Attributes:
        open: what stays open, which the first lines say.
        held: what held.
        undecided: whether something that was asked for can't be decided here.
    """

    open: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    undecided: bool = False


def check_command(
    path: Path, proof: Path | None, signer: str | None, tokens: Tokens, model: Path | None, arrays: bool
) -> int:
    """Check an envelope, a proof, or both against each other; return the exit code."""
    findings = Findings()
    pinned = read_anchors(signer, tokens.roots).signer  # a file without roots is refused here, token or not
    file, root = _at_hand(path, proof)
    if arrays and (root is None or is_bundle(root)):
        raise UsageError("--arrays: no proof with a final checkpoint is at hand; give --proof")
    documents = check_documents(root, Limits()) if root else None
    tokens = _completed(tokens, root, documents)
    content = read_own_file(file, envelopes.MAX_BYTES) if file else None
    attestation: Attestation | None = None
    if content is not None and file is not None:
        attestation = read_attestation(content, "claim", where=file.name, pinned=pinned)
        _check_signer(attestation, documents, file.name, findings)
        _check_arrays(attestation, root if arrays else None, file.name, findings)
        if model is not None:
            _check_model(attestation, model, findings)
    elif pinned is not None or model is not None or tokens.envelope is not None or arrays:
        raise UsageError(f"{path}: it has no envelope, which --signer, --model, --timestamp and --arrays are about")
    if root is not None and documents is not None:
        _tell_documents(root, documents, content is not None, findings)
    work = recorded_work(attestation, documents.claim) if attestation and documents else None
    _check_time(tokens, content, documents, work, findings)
    for line in findings.open:
        say(printable(line), style="yellow")
    for line in findings.held:
        say(printable(line))
    say("Nothing was replayed: pol verify does that.")
    return INCONCLUSIVE if findings.undecided else ACCEPTED


def _at_hand(path: Path, proof: Path | None) -> tuple[Path | None, Path | None]:
    """Return the envelope and the proof that are there; each may be found beside the other by its name."""
    if path.is_dir():
        if proof is not None:
            raise UsageError("--proof: PATH is a proof already; give an envelope as PATH")
        return find(path, CLAIM), path
    return path, proof or proof_around(path)


def _completed(tokens: Tokens, root: Path | None, documents: Documents | None) -> Tokens:
    """Return the files about time, with those in the proof's attestations where none is named."""
    if root is None or documents is None:
        return tokens
    named = {name: find(root, name) for name in (CLAIM_TOKEN, COMMITMENT_TOKEN, BEACON)}
    present = {name: path for name, path in named.items() if path}
    stamped = present if tokens.roots else {}  # without roots, a token that nobody named stays open
    # A round shows nothing where the commitment names none: its beacon may be any other public value.
    drawn = present if is_round(documents.commitment.beacon or "") else {}
    return Tokens(
        envelope=tokens.envelope or stamped.get(CLAIM_TOKEN),
        commitment=tokens.commitment or stamped.get(COMMITMENT_TOKEN),
        roots=tokens.roots,
        beacon=tokens.beacon or drawn.get(BEACON),
    )


def _check_signer(attestation: Attestation, documents: Documents | None, where: str, findings: Findings) -> None:
    if attestation.pinned is None:
        findings.open.append(f"{attestation.describe()} (--signer)")
    else:
        findings.held.append(attestation.describe())
    if documents is None:
        findings.open.append(
            "No proof is at hand (--proof), so that it stays open whether the signer is the prover whom the commitment "
            "names."
        )
        # With neither a proof nor a key that the verifier knows, nothing says whose signature this is.
        findings.undecided = attestation.pinned is None
    else:
        check_document(attestation, documents.claim_bytes, where)
        if names_prover(attestation, documents.commitment.prover, where):
            findings.held.append("The signer is the prover whom the commitment names.")
        else:
            findings.open.append(
                "The commitment names no prover (anonymous): the signature shows who signed, and not who trained."
            )
        findings.held.append("The signed claim is that of the proof.")
    for subject in attestation.subjects:
        findings.held.append(f"It is about {subject.name}, BLAKE3 {subject.digests.blake3}.")


def _tell_documents(root: Path, documents: Documents, signed: bool, findings: Findings) -> None:
    claim, prover = documents.claim, documents.commitment.prover
    if not signed:
        who = "anonymous: its commitment names no prover" if prover is None else f"not signed; it names {prover}"
        findings.open.append(f"The proof is {who}.")
    attested = check_attestations(read_attestations(root), documents.commitment, documents.claim, None, None)
    if attested.authorship.commitment_signed:
        findings.held.append("The commitment is signed too.")
    if documents.files is None:
        findings.open.append("This is the public part of a proof: its ledger, programs and states are not here.")
        findings.held.append("The commitment is the one that the claim names.")
    else:
        findings.held.append(
            f"The proof's {documents.files} files are those of its inventory; commitment, ledger and claim agree."
        )
    findings.held += [
        f"It claims {claim.steps} steps; final state {claim.final_state}, claim {claim.digest().hex()}.",
    ]


def _check_arrays(attestation: Attestation, root: Path | None, where: str, findings: Findings) -> None:
    """Compare the signed digests with the final checkpoint, or say that nobody did: a signer may sign anything."""
    if root is None:
        findings.open.append("Whether the signed digests are those of the claimed final state stays open (--arrays).")
        return
    from pol_jax.sandbox.proofs import open_apart  # these start jax
    from pol_jax.storage.final_arrays import read_final_state, select_parameters

    with open_apart(root) as proof:
        state = read_final_state(proof)
    for name, arrays in ((STATE, state), (PARAMETERS, select_parameters(state))):
        if attestation.digests_of(name) != digest_arrays(arrays):
            raise ProofError(where, f"signs another {name} than the proof has")
    findings.held.append("The signed digests are those of the final parameters and the final state of the proof.")


def _check_model(attestation: Attestation, model: Path, findings: Findings) -> None:
    """Look for a deployed model among the subjects: the file as it is, then its arrays."""
    named = digest_file(model) if model.is_file() else None
    for subject in attestation.subjects:
        if subject.digests == named:
            findings.held.append(f"The model {model.name} was signed, as {subject.name}.")
            return
    if digest_arrays(read_weights(model)) == attestation.digests_of(PARAMETERS):
        findings.held.append(f"The arrays of {model.name} are the final parameters that were signed, bit for bit.")
        return
    findings.undecided = True
    findings.open.append(
        f"The model {model.name} is not what was signed, neither as a file nor by its arrays under their names; "
        "pol verify --model compares leaf by leaf."
    )


def _check_time(
    tokens: Tokens, envelope: bytes | None, documents: Documents | None, work: Work | None, findings: Findings
) -> None:
    given = [file for file in (tokens.envelope, tokens.commitment, tokens.beacon) if file]
    beacon = documents.commitment.beacon if documents else None
    if beacon is not None and tokens.beacon is None:
        findings.open.append(f"The commitment names the beacon {beacon}, which was not checked (--beacon-round).")
    if not given:
        findings.open.append("No time was checked (--timestamp, --commitment-timestamp, --beacon-round).")
        return
    # The commitment's own timestamp is over the document, that of the claim over its envelope (attestation.md, 5).
    now, commitment = datetime.now(UTC), documents.commitment_bytes if documents else None
    over_envelope = _token(tokens.envelope, envelope, tokens.roots)
    over_commitment = _token(tokens.commitment, commitment, tokens.roots)
    drawn = _round(tokens.beacon, beacon, now)
    window = window_of(
        now=now, beacon=drawn.time if drawn else None, commitment=over_commitment, envelope=over_envelope, work=work
    )
    if not window:
        raise ProofError(given[0].name, " ".join(window.problems))
    for what, stamp in (("The signed claim", over_envelope), ("The commitment", over_commitment)):
        findings.held += [stamp.describe(what)] if stamp else []
    findings.held += window.describe()


def _token(file: Path | None, message: bytes | None, roots: Path | None) -> Timestamp | None:
    if file is None:
        return None
    if message is None:
        raise UsageError("--commitment-timestamp: there is no proof at hand (--proof), whose commitment it is about")
    response = read_own_file(file, MAX_RESPONSE_BYTES)
    if roots is None:
        raise UsageError("no root certificate of a timestamping authority is given; name one with --tsa-roots FILE")
    return verify_token(response, message, read_roots(roots), where=file.name)


def _round(file: Path | None, beacon: str | None, now: datetime) -> BeaconRound | None:
    if file is None:
        return None
    if beacon is None or not is_round(beacon):
        raise UsageError("--beacon-round: no proof is at hand whose commitment names a round as its beacon")
    return verify_committed_round(beacon, read_own_file(file, MAX_ROUND_BYTES), now=now, where=file.name)
