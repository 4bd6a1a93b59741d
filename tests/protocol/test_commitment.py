"""Commitments: every byte matters, and what none can say is refused."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
import tiny
from stored_vectors import vectors

import pol_jax
from pol_jax.errors import ProofError, UsageError
from pol_jax.protocol import encoding
from pol_jax.protocol.commitment import MAX_PIECES, Commitment, nbytes
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.mesh import Mesh, MeshAxis
from pol_jax.protocol.trees import LeafSpec


def test_what_no_commitment_can_say_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    from pol_jax.errors import TaskError

    task = tiny.nested()
    for wrong in ({"rate": float("nan")}, {"seed": 2**60}):
        with pytest.raises(TaskError, match="hyperparameter"):
            pol_jax.train(replace(task, hyperparameters=wrong), tmp_path / "proof", steps=1)
    with pytest.raises(UsageError, match="nonce"):
        pol_jax.train(task, tmp_path / "proof", steps=1, choices=pol_jax.Choices(seed="x" * 300))
    with pytest.raises(TaskError, match="batch_size"):
        pol_jax.train(replace(task, batch_size=2**21), tmp_path / "proof", steps=1)


def test_every_byte_of_a_commitment_matters() -> None:
    """No other bytes parse to the same commitment, and none crash the parser."""
    content = vectors("documents")["accepted"][0]["text"].encode()
    for at in range(len(content)):
        for wounded in (content[:at] + content[at + 1 :], content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]):
            try:
                parsed = Commitment.parse(wounded)
            except ProofError:
                continue
            assert parsed.encode() == wounded
            assert parsed.digest() == encoding.document_digest("commitment", wounded, parsed.format)


def test_a_pod_of_70_billion_parameters_fits_the_default_limits() -> None:
    """Three float32 for each parameter, cut over 1,024 devices: 840 GB a state, two million pieces."""
    mesh = Mesh((MeshAxis("data", 32), MeshAxis("model", 32)), (), ("data",))
    matrix = (("data",), ("model",))
    widths = [(8192, 8192)] * 2 + [(8192, 1024)] * 2 + [(8192, 28672)] * 3
    shapes = [shape for _ in range(80) for shape in widths] + [(128256, 8192)] * 2
    leaves = [
        LeafSpec(f"/{kind}/layers/{at}/kernel", "float32", shape, (1, 1), None)
        for kind in ("params", "mu", "nu")
        for at, shape in enumerate(shapes)
    ]
    mesh = msgspec.structs.replace(mesh, state=(matrix,) * len(leaves))
    state = mesh.cut(tuple(leaves))
    plain = Commitment.parse(vectors("documents")["accepted"][0]["text"].encode())
    commitment = Commitment.parse(msgspec.structs.replace(plain, state=state, mesh=mesh).encode())
    assert 835e9 < nbytes(state) < Limits().state_bytes
    assert 1_700_000 < sum(math.prod(leaf.pieces) for leaf in state) < MAX_PIECES
    assert len(commitment.encode()) < Limits().document_bytes
    assert mesh.device_bytes(state) == nbytes(state) // 1024
    assert 50 * nbytes(state) < Limits().total_bytes  # so many checkpoints
