"""What a caller, the child that verifies for it, and its workers say to each other.

MessagePack, never pickled, decoded strictly.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol.challenge import Policy, StepPolicy
from pol_jax.verifying.trusted_program import Expected


class Request(msgspec.Struct, frozen=True, tag="request"):
    """From the caller: what to verify."""

    path: str
    policy: Policy | StepPolicy
    nonce: bytes
    limits: dict[str, int]
    secret: bytes | None
    memory_bytes: int | None
    opening: str | None = None
    compare: bool = False
    same_program: bool = False
    jobs: int = 1
    d_ref: float | None = None
    parents: tuple[str, ...] = ()


class Found(msgspec.Struct, frozen=True, tag="found"):
    """From the caller: how many records the source has."""

    records: int


class Records(msgspec.Struct, frozen=True, tag="records"):
    """From the caller: bytes of the leaves of a batch, in the order of the commitment; or why there are none."""

    leaves: list[bytes]
    error: str | None


class Find(msgspec.Struct, frozen=True, tag="find"):
    """From the child: find the records of this commitment (canonical JSON)."""

    commitment: bytes


class Expect(msgspec.Struct, frozen=True, tag="expect"):
    """From the child: what programs does the trusted source give for this commitment (canonical JSON) and steps?"""

    commitment: bytes
    steps: int


class Take(msgspec.Struct, frozen=True, tag="take"):
    """From the child: these records, please."""

    indices: list[int]


class Entered(msgspec.Struct, frozen=True, tag="stage"):
    """From the child: a stage begins."""

    number: int


class Begun(msgspec.Struct, frozen=True, tag="begin"):
    """From the child: long work begins."""

    what: str
    total: int
    done: int


class Reached(msgspec.Struct, frozen=True, tag="at"):
    """From the child: so much is done."""

    done: int
    loss: float | None


class Ended(msgspec.Struct, frozen=True, tag="end"):
    """From the child: long work is over."""


class Done(msgspec.Struct, frozen=True, tag="done"):
    """From the child: the report, as JSON."""

    report: bytes


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """From the child: an error of this package, by class."""

    kind: str
    text: str


class Hired(msgspec.Struct, frozen=True, tag="hired"):
    """To a worker: replay the proof at this path, or an opening of the claim at it; ``claim`` is its digest in hex."""

    path: str
    claim: str
    limits: dict[str, int]
    secret: bytes | None = None
    opening: str | None = None


class Do(msgspec.Struct, frozen=True, tag="do"):
    """To a worker: replay from the checkpoint of step ``start`` to step ``stop``."""

    start: int
    stop: int


class Came(msgspec.Struct, frozen=True, tag="came"):
    """From a worker: what came of it."""

    replayed: ReplayResult


FromChild: TypeAlias = Find | Expect | Take | Entered | Begun | Reached | Ended | Done | Failed

ToChild: TypeAlias = Request | Found | Expected | Records

FromWorker: TypeAlias = Take | Reached | Came | Failed
ToWorker: TypeAlias = Hired | Do | Records
