"""A process that reads a proof may take as much memory as the proof's own documents explain.

A file of a few bytes may say that it unpacks to gigabytes. The parsers are given files whose sizes were checked; this
bound is for what a check has missed. While files are parsed, it follows from the sizes that commitment and claim tell.
A program's temporary arrays are told by no document, so from its first execution on it is a share of the machine.

The bound is on the data of one process (RLIMIT_DATA): address space that is only reserved does not count.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from pol_jax.errors import PolError
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment, nbytes
from pol_jax.protocol.limits import Limits
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.confinement import has_accelerator
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.openings import read_commitment
from pol_jax.verifying.request import OpeningRequest, ProofRequest

STATES: Final = 4
"""This many whole states are in memory at a time: those of Orbax and tensorstore, ours, and one to compare with."""

_BASE_BYTES: Final = 2**32
"""Python, jax, XLA's compiler and their threads may take this before a proof is read: 1.6 GB on two processors."""

_PROCESSOR_BYTES: Final = 2**28
"""The threads that these libraries start for each processor have stacks and heaps of this size."""

MOST_DEVICES: Final = 256
"""A process takes no more virtual devices. A proof may name a million, and each takes threads."""

_DEVICE_BYTES: Final = 2**25
"""The threads of a virtual device have stacks of this size: 17 MB, of which hardly anything is used."""

_ROW_BYTES, _COPIES = 2**10, 6
"""A row takes so many bytes in Python beside its indices, which are there so many times: packed, unpacked, as columns,
as rows."""

_DIGEST_BYTES: Final = 2**9
"""A digest of a record or row takes this many bytes in Python, with its place in a Merkle tree."""

_SHARE: Final = 0.9
"""So much of the machine may be taken by all processes together that execute a program."""


class MemoryLimits(msgspec.Struct, frozen=True):
    """Memory limits say how many bytes of data one process may have; None where that isn't bounded.

    Attributes:
        reading: while it parses.
        executing: from the first execution of the proof's program on.
    """

    reading: int | None
    executing: int | None


def memory_of_proof(request: ProofRequest, bounds: Bounds) -> MemoryLimits:
    """Return the limits of a process that verifies a proof: as given, or else from the documents of all that it reads.

    What can't be read implies nothing; the verification says what is wrong with it.
    """
    paths = map(Path, (request.path, *request.parents))
    # One process verifies the whole chain, one proof after the other: the largest of them decides.
    implied, devices = zip(*(_implied_by(path, request.limits) for path in paths), strict=True)
    return _limits(bounds, max(implied), request.jobs, max(devices))


def memory_of_run(request: ProofRequest, bounds: Bounds) -> MemoryLimits:
    """Return the limits of a process that follows a run, which has no claim yet: by its commitment."""
    root, limits = Path(request.path), request.limits
    try:
        commitment = Commitment.parse(read_bounded(root, commitments.FILE, limits))
    except PolError:
        return _limits(bounds, 0, 1)
    steps = min(commitment.schedule.steps or limits.steps, limits.steps)
    return _limits(bounds, read_bytes(commitment, steps), 1, _virtual_devices(commitment))


def memory_of_opening(request: OpeningRequest, bounds: Bounds) -> MemoryLimits:
    """Return the limits of a process that verifies an opening, in which states and records are as large as they are."""
    path, size, devices = Path(request.opening), 0, 0
    with suppress(OSError, PolError):
        size = path.stat().st_size
        content = read_commitment(path, request.limits)
        devices = _virtual_devices(Commitment.parse(content)) if content else 0
    return _limits(bounds, STATES * min(size, request.limits.opening_bytes), request.jobs, devices)


def memory_of_reading(commitment: Commitment, steps: int) -> int | None:
    """Return the limit of a process that parses files of one proof, and executes nothing."""
    return _limits(Bounds(), read_bytes(commitment, steps), 1).reading


def _implied_by(root: Path, limits: Limits) -> tuple[int, int]:
    """Return how many bytes are parsed of a proof, and how many virtual devices its replay takes."""
    try:
        commitment = Commitment.parse(read_bounded(root, commitments.FILE, limits))
        claim = Claim.parse(read_bounded(root, claims.FILE, limits))
    except PolError:
        return 0, 0
    return read_bytes(commitment, min(claim.steps, limits.steps)), _virtual_devices(commitment)


def _virtual_devices(commitment: Commitment) -> int:
    return 0 if commitment.mesh is None else min(commitment.mesh.device_count, MOST_DEVICES)


def read_bytes(commitment: Commitment, steps: int) -> int:
    """Return how many bytes there may be in memory of what is parsed: states, digests, and one segment's rows."""
    schedule, data = commitment.schedule, commitment.data
    row = _ROW_BYTES + _COPIES * 8 * schedule.batch_size
    digests = _DIGEST_BYTES * (data.records + steps)
    batch = _COPIES * schedule.batch_size * nbytes(data.record)
    return STATES * nbytes(commitment.state) + digests + row * (min(schedule.interval, steps) + 1) + batch


def _limits(bounds: Bounds, implied: int, jobs: int, devices: int = 0) -> MemoryLimits:
    """Return the limits of one of ``jobs`` processes; none by default where drivers of accelerators map memory."""
    if bounds.memory_bytes is not None:
        return MemoryLimits(bounds.memory_bytes, bounds.memory_bytes)
    # Drivers map the accelerator's memory into the process, which would count as its data.
    if has_accelerator():
        return MemoryLimits(None, None)
    base, machine = _BASE_BYTES + _PROCESSOR_BYTES * (os.cpu_count() or 1), int(_SHARE * machine_bytes())
    # Never more than the machine has: the kernel would else kill something, perhaps the caller.
    reading, stacks = min(base + implied, max(machine, base)), devices * _DEVICE_BYTES
    return MemoryLimits(reading + stacks, max(reading, machine // jobs) + stacks)


def machine_bytes() -> int:
    """Return the memory of this machine, or of the group of processes that this one is in, if that has less."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no such group, or no limit ("max")
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return found
