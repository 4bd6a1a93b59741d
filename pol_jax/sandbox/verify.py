"""The public doors of a verification: what a verifier asks becomes one frozen value here, and goes to a process apart.

Everything that is asked is validated before that process starts (`pol_jax.verifying.request`); files that the verifier
names are the verifier's own, and are read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypedDict, Unpack

from pol_jax.attesting.anchors import read_anchors
from pol_jax.files import as_path
from pol_jax.progress import Progress
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import Policy, RandomSegments, StepPolicy
from pol_jax.reports.report import Report
from pol_jax.sandbox.apart import verify_opening_apart, verify_proof_apart
from pol_jax.sandbox.bounds import Bounds
from pol_jax.storage.inventory import find_claim
from pol_jax.training.task import Source, Task
from pol_jax.verifying.built_in_records import BUILT_IN_RECORDS, built_in_source
from pol_jax.verifying.request import OpeningRequest, ProofRequest, absolute_path, fresh_nonce
from pol_jax.verifying.trusted_program import trust, trust_built_in


class VerificationOptions(TypedDict, total=False):
    """Verification options may be asked of proofs and of openings, by keyword; what is left out has its default.

    Attributes:
        limits: bounds on what is read.
        progress: told of the stages and of the replayed steps.
        bounds: on the process.
        trusted: source that the verifier trusts: the task, or a function that returns it for a commitment and a number
            of steps. Its export, made in the caller's process, is compared with the program that is verified: another
            one is inconclusive. Without it and without a ``source``, it is the built-in task that a proof names.
        same_program: reject another program than that of ``trusted``, in earlier proofs too.
        any_program: accept another one, in earlier proofs too; the report says that it is another.
        jobs: how many processes replay at the same time; the report is the same. Worth it where a step leaves
            processors idle; each takes memory for two states, and reads an opening by itself.
        d_ref: a distance between two honest trainings of the task, against which drift is measured too.
        exact: accept nothing within a tolerance, in earlier proofs neither: what has other bits is inconclusive.
        leaves: paths of the leaves that matter, or of what they lie below, such as ``/params``: updates are ranked by
            these, and what tolerances add up to is held against each of these alone. Nothing names all leaves.
        signer: the public key that must have signed the claim: ``ed25519:`` text, or a file with it. A claim of another
            is rejected, and an unsigned one is inconclusive. None takes any, and the report says so.
        tsa_roots: file (PEM) of root certificates of timestamping authorities that the verifier trusts; None leaves
            timestamps open.
        model: a model at hand (safetensors, ``.npz``, Orbax), compared with the final state of what is accepted:
            see the report's ``deployed``. It decides nothing.
    """

    limits: Limits | None
    progress: Progress | None
    bounds: Bounds | None
    trusted: Task | Callable[[Commitment, int], Task] | None
    same_program: bool
    any_program: bool
    jobs: int
    d_ref: float | None
    exact: bool
    leaves: Iterable[str]
    signer: str | None
    tsa_roots: Path | str | None
    model: Path | str | None


def verify(
    path: Path | str,
    source: Source | Callable[[Commitment], Source] | None = None,
    *,
    policy: Policy | None = None,
    nonce: bytes | None = None,
    secret: bytes | None = None,
    parents: Iterable[Path | str] = (),
    **options: Unpack[VerificationOptions],
) -> Report:
    """Check a proof and replay a part of it, in a process of its own.

    Args:
        path: the proof's directory.
        source: the training records, from where the verifier trusts them; only challenged ones are read. A function
            is asked for them once stages 1 to 6 are passed, and for those of each of ``parents``. None for those of the
            built-in task that a proof names.
        policy: which segments to replay; None for random ones, 99% sure to meet a false segment if 5% are false.
        nonce: decides the draw; None for a fresh one, which the prover can't have foreseen.
        secret: 32 bytes that salt the records of a private data set.
        parents: directories of proofs that the initial state may come from; those that it does come from are verified
            in the same way first.
        options: what may be asked of an opening too: see `VerificationOptions`.

    Raises:
        UsageError: there is no proof or there are no records, or the policy would check nothing.
    """
    request = ProofRequest(
        path=absolute_path(path),
        policy=policy or RandomSegments(),
        nonce=fresh_nonce() if nonce is None else nonce,
        secret=secret,
        parents=tuple(map(absolute_path, parents)),
        records=BUILT_IN_RECORDS if source is None else "the verifier's own source",
        **_fields(options),
    )
    trusted = options.get("trusted")
    expect = trust(trusted) if trusted is not None else trust_built_in() if source is None else None
    source = built_in_source() if source is None else source
    return verify_proof_apart(
        request, source, trusted=expect, progress=options.get("progress"), bounds=options.get("bounds")
    )


def verify_opening(
    claim: Path | str,
    opening: Path | str,
    policy: StepPolicy,
    nonce: bytes = b"",
    **options: Unpack[VerificationOptions],
) -> Report:
    """Check an opening against a claim, and replay the challenged steps, in a process of its own.

    Args:
        claim: ``claim.json``, or a directory that has one.
        opening: the file of the opening.
        policy: the challenge that the prover was given; never read from the opening.
        nonce: of the challenge; nothing, for a list.
        options: what may be asked of a proof too: see `VerificationOptions`.

    Raises:
        UsageError: a file is not there, the policy would check nothing, or there is no source to compare with.
    """
    request = OpeningRequest(
        claim=absolute_path(find_claim(as_path(claim))),
        opening=absolute_path(opening),
        policy=policy,
        nonce=nonce,
        **_fields(options),
    )
    trusted = options.get("trusted")
    expect = None if trusted is None else trust(trusted)
    return verify_opening_apart(request, trusted=expect, progress=options.get("progress"), bounds=options.get("bounds"))


def _fields(options: VerificationOptions) -> dict[str, Any]:
    """Return the fields of a request: without what stays in this process, and with files of trust anchors read."""
    kept_here = ("progress", "bounds", "trusted")
    # None is what is left out, and gets the default of a request.
    fields: dict[str, Any] = {
        name: value for name, value in options.items() if value is not None and name not in kept_here
    }
    fields |= read_anchors(options.get("signer"), options.get("tsa_roots"))._asdict()
    if "leaves" in fields:
        fields["leaves"] = tuple(fields["leaves"])
    if "model" in fields:
        fields["model"] = absolute_path(fields["model"])
    return fields
