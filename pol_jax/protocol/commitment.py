"""A commitment fixes program, data, schedule, prover and nonce before step 0 (docs/protocol.md, section 2.1).

Its digest decides the PRNG keys, the order of the records and so the whole run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence, Set
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.documents import HexDigest, decode, encode
from pol_jax.protocol.encoding import FORMAT_1, Digest, Format, document_digest
from pol_jax.protocol.initial import Initial, problem_of
from pol_jax.protocol.keys import KEY_WORDS, MAX_STEPS, Prng
from pol_jax.protocol.mesh import Mesh, problem_of_mesh
from pol_jax.protocol.order import MAX_RECORDS
from pol_jax.protocol.rows import RowLayout
from pol_jax.protocol.signers import problem_of_key
from pol_jax.protocol.trees import DTYPES, ArraySpec, LeafSpec, RecordSpec, StateSpec
from pol_jax.protocol.version_1 import downgrade_commitment, upgrade_commitment

ShortText = Annotated[str, msgspec.Meta(max_length=256)]

FILE: Final = "commitment.json"

MAX_PIECES: Final = 2**24
"""All leaves of a state together have at most this many pieces; in version 1 a sixteenth of it."""

MAX_SEGMENT_RECORDS: Final = 2**27
"""The records of all batches of a segment are at most this many: 1 GiB of indices in one file of the ledger."""

# RFC 6901, with the bounds of section 2.1.
_POINTER: Final = re.compile(r"(/([^/~]|~[01])*){0,64}\Z")


class ProgramCommitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The commitment names the two exported programs by their digests.

    Attributes:
        init: digest of the artifact of ``init``.
        step: digest of the artifact of ``step``.
        metrics: names of the scalars that ``step`` returns after the state, sorted; one of them is the loss.
        loss: name of the metric that is the loss; in version 1 it is always ``loss``.
    """

    init: HexDigest
    step: HexDigest
    metrics: tuple[ShortText, ...]
    loss: ShortText


class DataCommitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The commitment fixes the training records.

    Attributes:
        root: Merkle root over the record digests.
        records: number of records.
        record: the leaves of a record, in the order in which they are hashed.
        salted: whether record digests are salted (a private data set).
    """

    root: HexDigest
    records: Annotated[int, msgspec.Meta(ge=1, le=MAX_RECORDS)]
    record: tuple[ArraySpec, ...]
    salted: bool


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The schedule says how large batches are, and after which steps checkpoints and state digests are taken.

    Attributes:
        batch_size: number of records that a step receives.
        interval: number of steps of a segment (k); checkpoints are taken at its multiples.
        witness_interval: number of steps between two state digests in the ledger.
        order: name of the algorithm that orders the records.
        prng: implementation of the PRNG keys.
        steps: T, the number of steps of the run; None in version 1, whose prover chooses it at the end.
        may_stop_early: whether ``steps`` is only the largest number of steps.
    """

    batch_size: Annotated[int, msgspec.Meta(ge=1, le=2**20)]
    interval: Annotated[int, msgspec.Meta(ge=1, le=2**20)]
    witness_interval: Annotated[int, msgspec.Meta(ge=1, le=2**20)]
    order: Literal["feistel-splitmix64-8"]
    prng: Prng
    steps: Annotated[int, msgspec.Meta(ge=1, le=MAX_STEPS)] | None
    may_stop_early: bool

    def allows(self, steps: int) -> bool:
        """Return whether a run may end after ``steps`` steps."""
        return self.steps in (None, steps) or (self.may_stop_early and steps < (self.steps or 0))

    def has_witness(self, step: int, steps: int) -> bool:
        """Return whether the ledger's row of ``step`` has the digest of the state, in a run of ``steps`` steps."""
        # A checkpoint without a digest in the ledger could be any state, so every checkpoint has one.
        return step % self.witness_interval == 0 or self.has_checkpoint(step, steps)

    def has_checkpoint(self, step: int, steps: int) -> bool:
        """Return whether a checkpoint is taken after ``step``, in a run of ``steps`` steps.

        Every proof keeps the checkpoints of step 0 and of the last step; it may leave out others.
        """
        return step % self.interval == 0 or step == steps


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The prover's description of the task is for people: it is recorded, and no check depends on it."""

    name: ShortText
    hyperparameters: dict[ShortText, str | int | float | bool]


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A commitment is the document ``commitment.json``.

    Attributes:
        format: version of the format.
        program: digests of the programs.
        state: the leaves of the state, with the pieces in which each is digested.
        data: the training records.
        schedule: batch size, intervals, order of records, PRNG.
        initial: where the initial state comes from.
        prover: the prover's Ed25519 public key, or None.
        nonce: any text of the prover's choice.
        beacon: a public random value that nobody knew before some moment, or None.
        task: a description for people.
        arithmetic: ``exact/1`` if both programs compute in exact arithmetic (`pol_jax.exact`), else None.
        mesh: over which devices state and batch were cut in training; None if each array was whole on one device.
    """

    format: Format
    program: ProgramCommitment
    state: tuple[LeafSpec, ...]
    data: DataCommitment
    schedule: Schedule
    initial: Initial
    prover: Annotated[str, msgspec.Meta(pattern=r"^ed25519:[0-9a-f]{64}\Z")] | None
    nonce: ShortText
    beacon: ShortText | None
    task: Description
    arithmetic: Literal["exact/1"] | None
    mesh: Mesh | None

    @property
    def row_layout(self) -> RowLayout:
        """Return which metrics the rows of the ledger hold."""
        program = self.program
        metrics = (program.loss,) if self.format == FORMAT_1 else program.metrics
        return RowLayout(metrics, program.loss, self.format)

    def encode(self) -> bytes:
        """Return the bytes of the canonical document."""
        plain = msgspec.to_builtins(self)
        return encode(downgrade_commitment(plain) if self.format == FORMAT_1 else plain)

    def digest(self) -> Digest:
        """Return the digest of the canonical document."""
        return document_digest("commitment", self.encode(), self.format)

    @classmethod
    def parse(cls, content: bytes) -> Commitment:
        """Return the commitment that ``content`` holds, after checking also what its types can't express.

        Raises:
            ProofError: ``content`` is no commitment; the text names the field.
        """
        commitment = decode(content, cls, FILE, upgrade_commitment)
        _check_leaves("state", commitment.state)
        _check_leaves("data.record", commitment.data.record)
        for index, leaf in enumerate(commitment.state):
            _check_pieces(f"state[{index}]", leaf)
        # Every piece costs a verifier a digest in memory, and an axis may be cut into as many pieces as it has
        # elements.
        if sum(math.prod(leaf.pieces) for leaf in commitment.state) > _max_pieces(commitment.format):
            raise ProofError(FILE, f"state: more than {_max_pieces(commitment.format)} pieces")
        # A segment of the ledger is one file, which is read into memory whole (section 5.1).
        if commitment.schedule.batch_size * commitment.schedule.interval > MAX_SEGMENT_RECORDS:
            raise ProofError(FILE, f"schedule: batch_size times interval is more than {MAX_SEGMENT_RECORDS}")
        problem = problem_of(commitment.initial, commitment.state)
        if problem:
            raise ProofError(FILE, f"initial.leaves: {problem}")
        _check_metrics(commitment.program)
        _check_version(commitment)
        return commitment


def _max_pieces(version: Format) -> int:
    return MAX_PIECES // 16 if version == FORMAT_1 else MAX_PIECES


def _check_metrics(program: ProgramCommitment) -> None:
    names = program.metrics
    # The order of the names says which result of the step is which metric; sorting leaves only one order.
    if program.loss not in names or list(names) != sorted(set(names)):
        raise ProofError(FILE, f"program.metrics: got {list(names)}, expected sorted names with {program.loss!r}")


def _check_version(commitment: Commitment) -> None:
    """Refuse what one of the two versions does not have."""
    schedule = commitment.schedule
    if commitment.format == FORMAT_1:
        if "unsafe_rbg" in (schedule.prng, *(leaf.prng for leaf in commitment.state)):
            raise ProofError(FILE, "prng: got 'unsafe_rbg', which pol-jax/1 does not have")
        return
    # Since version 2 the prover commits to T, and can no longer choose among the ends of a run by looking at them.
    if schedule.steps is None:
        raise ProofError(FILE, "schedule.steps: got null, expected a number of steps")
    if commitment.prover and (problem := problem_of_key(bytes.fromhex(commitment.prover[8:]))):
        raise ProofError(FILE, f"prover: the key is {problem}")
    if commitment.mesh and (problem := problem_of_mesh(commitment.mesh, commitment.state)):
        raise ProofError(FILE, f"mesh: {problem}")


def _check_leaves(field: str, leaves: StateSpec | RecordSpec) -> None:
    if not leaves:
        raise ProofError(FILE, f"{field}: is empty; expected at least one leaf")
    paths = {leaf.path for leaf in leaves}
    if len(paths) != len(leaves):
        raise ProofError(FILE, f"{field}: two leaves have the same path")
    for index, leaf in enumerate(leaves):
        _check_path(f"{field}[{index}].path", leaf.path, paths)
        if leaf.dtype not in DTYPES:
            raise ProofError(FILE, f"{field}[{index}].dtype: {leaf.dtype!r} is not supported")
        # Bounds before any product is formed: sizes of a document may be numbers of any length.
        if any(not 0 <= size < 2**48 for size in leaf.shape) or len(leaf.shape) > 32:
            raise ProofError(FILE, f"{field}[{index}].shape: {list(leaf.shape)[:8]} is out of bounds")
        if math.prod(leaf.shape) >= 2**48:
            raise ProofError(FILE, f"{field}[{index}].shape: more than 2^48 elements")


def _check_path(field: str, path: str, paths: Set[str]) -> None:
    """Refuse a path that is no JSON pointer, or lies below another leaf: leaves must nest by their paths."""
    if len(path) > 1024 or not _POINTER.match(path):
        raise ProofError(FILE, f"{field}: {path[:60]!r} is no JSON pointer of at most 1024 characters and 64 parts")
    slashes = [position for position, character in enumerate(path) if character == "/"]
    # A path below another leaf would name two things at once: an array and a part of it.
    # The empty path lies above all others, so that a list which has it has no other (section 2.1).
    for above in {path[:slash] for slash in slashes} & paths:
        raise ProofError(FILE, f"{field}: {path!r} lies below the leaf {above!r}")


def _check_pieces(field: str, leaf: LeafSpec) -> None:
    fits = len(leaf.pieces) == len(leaf.shape) and all(
        parts >= 1 and size % parts == 0 for size, parts in zip(leaf.shape, leaf.pieces, strict=True)
    )
    if not fits:
        raise ProofError(FILE, f"{field}.pieces: {list(leaf.pieces)} doesn't divide the shape {list(leaf.shape)}")
    if leaf.prng is not None:
        words = KEY_WORDS.get(leaf.prng)
        if words is None or leaf.dtype != "uint32" or leaf.shape[-1:] != (words,):
            raise ProofError(FILE, f"{field}.prng: keys of {leaf.prng!r} are no {leaf.dtype}{list(leaf.shape)}")


def nbytes(leaves: Sequence[LeafSpec | ArraySpec]) -> int:
    """Return how many bytes all leaves have together."""
    return sum(leaf.nbytes for leaf in leaves)
