"""A process that reads a proof may take as much memory as the proof's documents explain."""

from __future__ import annotations

import os
import shutil
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.commitment import Commitment, nbytes
from pol_jax.protocol.mesh import Mesh, MeshAxis
from pol_jax.protocol.policies import ListedSteps
from pol_jax.protocol.stages import Stage
from pol_jax.sandbox import child, memory
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.memory import (
    MemoryLimits,
    memory_of_opening,
    memory_of_proof,
    memory_of_reading,
    memory_of_run,
    read_bytes,
)
from pol_jax.sandbox.pipe import Pipe
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.request import OpeningRequest, ProofRequest

GIB = 2**30


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processors, 100 GiB of memory, no accelerator."""
    monkeypatch.setattr(memory, "machine_bytes", lambda: 100 * GIB)
    monkeypatch.setattr(memory, "has_accelerator", lambda: False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def larger(commitment: Commitment, **schedule: Any) -> Commitment:
    """A commitment whose state has a leaf of 1 GiB more."""
    leaf = commitment.state[0]
    more = msgspec.structs.replace(leaf, path="/more", dtype="float32", shape=(2**28,), pieces=(1,))
    return msgspec.structs.replace(commitment, state=(*commitment.state, more))


def test_it_follows_from_what_the_documents_tell(plain_proof: Path) -> None:
    commitment = open_proof(plain_proof).commitment
    small = read_bytes(commitment, 24)
    assert small < 2**20
    assert read_bytes(larger(commitment), 24) - small == memory.STATES * GIB
    assert read_bytes(commitment, 10**6) - small > 10**6 * 32
    data = msgspec.structs.replace(commitment.data, records=10**6)
    assert read_bytes(msgspec.structs.replace(commitment, data=data), 24) - small > 10**6 * 32
    schedule = msgspec.structs.replace(commitment.schedule, batch_size=2**20)
    wide = msgspec.structs.replace(commitment, schedule=schedule)
    assert read_bytes(wide, 24) > 2**20 * (8 * 7 + nbytes(commitment.data.record))


@pytest.mark.usefixtures("machine")
def test_parsers_get_what_is_implied_and_programs_a_share_of_the_machine(plain_proof: Path, tmp_path: Path) -> None:
    request = ProofRequest(path=str(plain_proof), jobs=4)
    found = memory_of_proof(request, Bounds())
    assert found.reading is not None
    assert found.executing == int(90 * GIB) // 4
    assert 4 * GIB < found.reading < 5 * GIB
    implied = read_bytes(open_proof(plain_proof).commitment, 24)
    assert memory_of_reading(open_proof(plain_proof).commitment, 24) == found.reading == 9 * GIB // 2 + implied
    nowhere = ProofRequest(path=str(tmp_path), parents=(str(plain_proof),))
    assert memory_of_proof(nowhere, Bounds()).reading == found.reading
    (tmp_path / "opening").write_bytes(bytes(2**20))
    opening = OpeningRequest(claim="claim", opening=str(tmp_path / "opening"), policy=ListedSteps((1,)), nonce=b"")
    assert memory_of_opening(opening, Bounds()).reading == 9 * GIB // 2 + memory.STATES * 2**20


@pytest.mark.usefixtures("machine")
def test_documents_allow_no_more_than_the_machine_has(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commitment = open_proof(plain_proof).commitment
    for _ in range(40):
        commitment = larger(commitment)
    assert memory_of_reading(commitment, 24) == int(90 * GIB)
    monkeypatch.setattr(memory, "machine_bytes", lambda: GIB)  # less than jax takes: it would not even start
    assert memory_of_reading(commitment, 24) == 9 * GIB // 2


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("size", "devices"), [(64, 64), (2**20, memory.MOST_DEVICES)])
def test_virtual_devices_have_stacks(
    size: int, devices: int, plain_proof: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them, 256 devices left no memory to read a checkpoint, which then seemed to be damaged."""
    opened = open_proof(plain_proof)
    mesh = Mesh((MeshAxis("data", size),), tuple(((),) * len(leaf.shape) for leaf in opened.commitment.state), ())
    commitment = msgspec.structs.replace(opened.commitment, mesh=mesh)
    (tmp_path / commitments.FILE).write_bytes(commitment.encode())
    shutil.copy(plain_proof / claims.FILE, tmp_path)
    monkeypatch.setattr(memory, "machine_bytes", lambda: GIB)  # they are hardly used, however small the machine is
    stacks, base = devices * 2**25, 9 * GIB // 2
    expected = MemoryLimits(base + stacks, base + stacks)
    assert memory_of_proof(ProofRequest(path=str(tmp_path)), Bounds()) == expected
    assert memory_of_run(ProofRequest(path=str(tmp_path)), Bounds()) == expected
    monkeypatch.setattr(memory, "read_commitment", lambda *_: commitment.encode())
    opening = OpeningRequest(claim="", opening=str(tmp_path / claims.FILE), policy=ListedSteps((1,)), nonce=b"")
    assert memory_of_opening(opening, Bounds()) == expected


def test_a_verifier_may_say_how_much(plain_proof: Path) -> None:
    request = ProofRequest(path=str(plain_proof))
    assert memory_of_proof(request, Bounds(memory_bytes=GIB)) == MemoryLimits(GIB, GIB)


def test_drivers_of_accelerators_may_map_what_they_like(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "has_accelerator", lambda: True)
    assert memory_of_proof(ProofRequest(path=str(plain_proof)), Bounds()) == MemoryLimits(None, None)


def test_a_group_of_processes_may_have_less_than_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, expected in (("1000000\n", 1_000_000), ("max\n", None)):
        monkeypatch.setattr(Path, "read_text", lambda self, text=text: text)
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        assert memory.machine_bytes() == (expected or physical)


def test_more_is_allowed_when_the_program_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = list[int | None]()
    monkeypatch.setattr(child, "limit_memory", allowed.append)
    monkeypatch.setattr(Pipe, "stage", lambda self, number: None)
    handle, _ = os.pipe()
    with Connection(handle) as connection:  # nothing is sent
        pipe = child._ChildPipe(connection)
        pipe.memory = MemoryLimits(1, 2)
        for stage in Stage:
            pipe.stage(stage.value)
    assert allowed == [2, 2, 2]
