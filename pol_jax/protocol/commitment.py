"""What is fixed before step 0: program, data, schedule, prover, nonce. Its digest seeds everything that follows."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence, Set
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.documents import HexDigest, decode, encode
from pol_jax.protocol.encoding import FORMAT, Digest, document_digest
from pol_jax.protocol.initial import Initial, problem_of
from pol_jax.protocol.keys import KEY_WORDS, Prng
from pol_jax.protocol.order import MAX_RECORDS
from pol_jax.protocol.trees import DTYPES, ArraySpec, LeafSpec, RecordSpec, StateSpec

Text = Annotated[str, msgspec.Meta(max_length=256)]

FILE: Final = "commitment.json"

MAX_PIECES: Final = 2**20
"""Of a state."""

MAX_SEGMENT_RECORDS: Final = 2**27
"""Steps of a segment times records of a batch: 1 GiB of indices in one file of the ledger."""

_POINTER: Final = re.compile(r"(/([^/~]|~[01])*){0,64}\Z")


class ProgramCommitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The two exported programs.

    Attributes:
        init: digest of the artifact of ``init``.
        step: digest of the artifact of ``step``.
        metrics: names of the scalars that ``step`` returns after the state, sorted; ``loss`` is among them.
    """

    init: HexDigest
    step: HexDigest
    metrics: tuple[Text, ...]


class DataCommitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training records.

    Attributes:
        root: Merkle root over the record digests.
        records: how many there are.
        record: leaves of a record, in the order in which they are hashed.
        salted: whether record digests are salted (a private data set).
    """

    root: HexDigest
    records: Annotated[int, msgspec.Meta(ge=1, le=MAX_RECORDS)]
    record: tuple[ArraySpec, ...]
    salted: bool


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When what happens.

    Attributes:
        batch_size: records a step.
        interval: steps of a segment (k); checkpoints are taken at its multiples.
        witness_interval: steps between two state digests in the ledger.
        order: the algorithm of the order of records.
        prng: implementation of the PRNG keys.
    """

    batch_size: Annotated[int, msgspec.Meta(ge=1, le=2**20)]
    interval: Annotated[int, msgspec.Meta(ge=1, le=2**20)]
    witness_interval: Annotated[int, msgspec.Meta(ge=1, le=2**20)]
    order: Literal["feistel-splitmix64-8"]
    prng: Prng

    def has_witness(self, step: int, steps: int) -> bool:
        """Whether the ledger's row of ``step`` of ``steps`` has the digest of the state."""
        return step % self.witness_interval == 0 or self.has_checkpoint(step, steps)

    def has_checkpoint(self, step: int, steps: int) -> bool:
        """Whether a checkpoint is taken after ``step`` of ``steps``; those of 0 and the last are kept by all proofs."""
        return step % self.interval == 0 or step == steps


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For people; recorded, never trusted."""

    name: Text
    hyperparameters: dict[Text, str | int | float | bool]


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document; see ``docs/protocol.md``.

    Attributes:
        format: version of the format.
        program: digests of the programs.
        state: leaves of the state, with the pieces in which each is digested.
        data: the records.
        schedule: batch size, intervals, order, PRNG.
        initial: where the initial state comes from.
        prover: the prover's Ed25519 public key, or None.
        nonce: the user's ``--seed``, as text.
        beacon: a public random value that was unknown before some moment, or None.
        task: readable description.
    """

    format: Literal["pol-jax/1"]
    program: ProgramCommitment
    state: tuple[LeafSpec, ...]
    data: DataCommitment
    schedule: Schedule
    initial: Initial
    prover: Annotated[str, msgspec.Meta(pattern=r"^ed25519:[0-9a-f]{64}\Z")] | None
    nonce: Text
    beacon: Text | None
    task: Description

    def digest(self) -> Digest:
        """Digest of the canonical document."""
        return document_digest("commitment", encode(self))

    @classmethod
    def parse(cls, content: bytes) -> Commitment:
        """The commitment in ``content``, checked in all that the types don't say.

        Raises:
            ProofError: names the field.
        """
        found = decode(content, cls, FILE)
        _check_leaves("state", found.state)
        _check_leaves("data.record", found.data.record)
        for at, leaf in enumerate(found.state):
            _check_pieces(f"state[{at}]", leaf)
        if sum(math.prod(leaf.pieces) for leaf in found.state) > MAX_PIECES:
            raise ProofError(FILE, f"state: more than {MAX_PIECES} pieces")
        if found.schedule.batch_size * found.schedule.interval > MAX_SEGMENT_RECORDS:
            raise ProofError(FILE, f"schedule: batch_size times interval is more than {MAX_SEGMENT_RECORDS}")
        metrics = found.program.metrics
        problem = problem_of(found.initial, found.state)
        if problem:
            raise ProofError(FILE, f"initial.leaves: {problem}")
        if "loss" not in metrics or list(metrics) != sorted(set(metrics)):
            raise ProofError(FILE, f"program.metrics: got {list(metrics)}, expected sorted names, 'loss' among them")
        return found


def differences(a: Commitment, b: Commitment) -> list[tuple[str, str, str]]:
    """The fields in which two commitments differ: (dotted name, value in a, value in b)."""
    return list(_differences("", msgspec.to_builtins(a), msgspec.to_builtins(b)))


def _differences(name: str, a: object, b: object) -> list[tuple[str, str, str]]:
    if isinstance(a, dict) and isinstance(b, dict):
        pairs = [(f"{name}.{key}".lstrip("."), a.get(key), b.get(key)) for key in sorted({*a, *b})]
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        pairs = [(f"{name}[{at}]", x, y) for at, (x, y) in enumerate(zip(a, b, strict=True))]
    else:
        return [] if a == b else [(name, _short(a), _short(b))]
    return [found for at, x, y in pairs for found in _differences(at, x, y)]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_leaves(field: str, leaves: StateSpec | RecordSpec) -> None:
    if not leaves:
        raise ProofError(FILE, f"{field}: empty; expected at least one leaf")
    paths = {leaf.path for leaf in leaves}
    if len(paths) != len(leaves):
        raise ProofError(FILE, f"{field}: two leaves have one path")
    for at, leaf in enumerate(leaves):
        _check_path(f"{field}[{at}].path", leaf.path, paths)
        if leaf.dtype not in DTYPES:
            raise ProofError(FILE, f"{field}[{at}].dtype: {leaf.dtype!r} is not supported")
        if any(not 0 <= size < 2**48 for size in leaf.shape) or len(leaf.shape) > 32:
            raise ProofError(FILE, f"{field}[{at}].shape: {list(leaf.shape)[:8]} is out of bounds")
        if math.prod(leaf.shape) >= 2**48:
            raise ProofError(FILE, f"{field}[{at}].shape: more than 2^48 elements")


def _check_path(field: str, path: str, paths: Set[str]) -> None:
    """A JSON pointer that no other leaf lies below, so that leaves can be nested by their paths."""
    if len(path) > 1024 or not _POINTER.match(path):
        raise ProofError(FILE, f"{field}: {path[:60]!r} is no JSON pointer of at most 1024 characters and 64 parts")
    slashes = [at for at, character in enumerate(path) if character == "/"]
    for above in {path[:at] for at in slashes} & paths:
        raise ProofError(FILE, f"{field}: {path!r} lies below the leaf {above!r}")


def _check_pieces(field: str, leaf: LeafSpec) -> None:
    fits = len(leaf.pieces) == len(leaf.shape) and all(
        parts >= 1 and size % parts == 0 for size, parts in zip(leaf.shape, leaf.pieces, strict=True)
    )
    if not fits:
        raise ProofError(FILE, f"{field}.pieces: {list(leaf.pieces)} doesn't cut shape {list(leaf.shape)}")
    if leaf.prng is not None:
        words = KEY_WORDS.get(leaf.prng)
        if words is None or leaf.dtype != "uint32" or leaf.shape[-1:] != (words,):
            raise ProofError(FILE, f"{field}.prng: {leaf.prng!r} has no keys of {leaf.dtype}{list(leaf.shape)}")


def nbytes(leaves: Sequence[LeafSpec | ArraySpec]) -> int:
    """Bytes of all leaves."""
    return sum(leaf.nbytes for leaf in leaves)


assert FORMAT == "pol-jax/1", "the Literal types above name the format"  # noqa: S101
