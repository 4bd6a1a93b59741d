"""The messages between a caller, the child that verifies for it, and the workers that replay for the child.

They are MessagePack, never pickled, and decoded strictly: each side takes the messages that it expects, and no others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

import msgspec

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.spans import Span
from pol_jax.sandbox.memory import MemoryLimits
from pol_jax.sandbox.reading_messages import ErrorRaised
from pol_jax.storage.seen_digests import SeenDigests
from pol_jax.verifying.facts import Facts, Share
from pol_jax.verifying.following import FollowEnded, FollowOptions, SegmentChecked
from pol_jax.verifying.request import OpeningRequest, ProofRequest
from pol_jax.verifying.trusted_program import Expected

MAX_BATCH: Final = 2**20
"""The most records that a step may take; nobody asks for more at once."""


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """The caller says first of all what to verify, and with how much memory.

    Attributes:
        request: what the verifier asks.
        has_trusted: whether the caller has source that it trusts, so that the child can ask for its program.
        memory: that the child may take.
        share: of a proof's verification, for which the child is to find facts; None for a whole verification.
        facts: of all shards of a proof's verification, which the child is to judge by; None to execute itself.
        following: how the child is to follow a run that goes on; None to verify.
    """

    request: ProofRequest | OpeningRequest
    has_trusted: bool
    memory: MemoryLimits
    share: Share | None = None
    facts: Facts | None = None
    following: FollowOptions | None = None


class FindSource(msgspec.Struct, frozen=True, tag="find_source"):
    """The child asks the caller to find the records that are meant by this commitment (canonical JSON)."""

    commitment: bytes


class SourceFound(msgspec.Struct, frozen=True, tag="source_found"):
    """The caller answers that the source was found, and has this many records."""

    records: int


class ReadRecords(msgspec.Struct, frozen=True, tag="read_records"):
    """The child or a worker asks for the records at these places of the source."""

    indices: Annotated[list[int], msgspec.Meta(max_length=MAX_BATCH)]


class Records(msgspec.Struct, frozen=True, tag="records"):
    """The answer holds the bytes of the leaves of a batch, in the order of the commitment, or why there are none."""

    leaves: list[bytes]
    error: str | None


class ExportTrusted(msgspec.Struct, frozen=True, tag="export_trusted"):
    """The child asks what programs the trusted source gives for this commitment (canonical JSON) and steps.

    `ProgramExpected` is the answer.
    """

    commitment: bytes
    steps: int


class ProgramExpected(msgspec.Struct, frozen=True, tag="program_expected"):
    """The caller answers with these programs, or with None where there is no source for this proof."""

    expected: Expected | None


class StageBegun(msgspec.Struct, frozen=True, tag="stage_begun"):
    """The child tells that a stage begins."""

    number: int


class WorkBegun(msgspec.Struct, frozen=True, tag="work_begun"):
    """The child tells that long work begins."""

    what: str
    total: int
    done: int


class WorkAdvanced(msgspec.Struct, frozen=True, tag="work_advanced"):
    """The child tells how much is done; a worker tells how many more steps are."""

    done: int
    loss: float | None


class WorkEnded(msgspec.Struct, frozen=True, tag="work_ended"):
    """The child tells that long work is over."""


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The child sends the report, as JSON, last of all."""

    report: bytes


class FactsFound(msgspec.Struct, frozen=True, tag="facts_found"):
    """The child of a shard sends the facts, as JSON, last of all."""

    facts: bytes


class ProofWork(msgspec.Struct, frozen=True, tag="proof_work"):
    """A worker is told first of all to replay spans of the proof in the directory ``path``.

    Attributes:
        path: the directory.
        claim: digest of the proof's claim in hex, so that the worker reads the proof that was checked.
        limits: bounds on what is read.
        secret: salts of a private data set, or None.
    """

    path: str
    claim: str
    limits: Limits
    secret: bytes | None


class OpeningWork(msgspec.Struct, frozen=True, tag="opening_work"):
    """A worker is told first of all to replay spans of the opening in the file ``opening``.

    Attributes:
        opening: the file.
        claim_file: the file of the claim.
        claim: digest of the claim in hex, so that the worker reads the claim that was checked.
        limits: bounds on what is read.
    """

    opening: str
    claim_file: str
    claim: str
    limits: Limits


class ReplaySpan(msgspec.Struct, frozen=True, tag="replay_span"):
    """A worker is asked to replay these steps.

    Attributes:
        span: the steps.
        seen: of a proof, the digests of the rows and the state that the replay reads; None for an opening.
    """

    span: Span
    seen: SeenDigests | None


class SpanReplayed(msgspec.Struct, frozen=True, tag="span_replayed"):
    """A worker answers with the result of a replay."""

    result: ReplayResult


_WorkProgress: TypeAlias = WorkBegun | WorkAdvanced | WorkEnded
_Ended: TypeAlias = Finished | FactsFound | FollowEnded | ErrorRaised
FromChild: TypeAlias = FindSource | ExportTrusted | ReadRecords | StageBegun | _WorkProgress | SegmentChecked | _Ended
ToChild: TypeAlias = Setup | SourceFound | ProgramExpected | Records

WorkerSetup: TypeAlias = ProofWork | OpeningWork
FromWorker: TypeAlias = ReadRecords | WorkAdvanced | SpanReplayed | ErrorRaised
ToWorker: TypeAlias = WorkerSetup | ReplaySpan | Records


decode_from_child: Callable[[bytes], FromChild] = msgspec.msgpack.Decoder(FromChild).decode
"""This function returns the message of a child; it raises for any other bytes."""
