"""Virtual devices of a mesh: asked for by documents that are not believed, and only before jax starts."""

from __future__ import annotations

import os
from pathlib import Path

import jax
import pytest
from jax._src import xla_bridge
from made_documents import made_commitment

from pol_jax.protocol import claim, commitment
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.mesh import Mesh, MeshAxis
from pol_jax.sandbox.memory import MOST_DEVICES
from pol_jax.sandbox.virtual_devices import needs_gloo, provide_devices


@pytest.mark.parametrize(
    ("content", "needed"),
    [(b'{"collectives":"gloo"}', True), (b'no document, "collectives":"gloo"', True), (b'"collectives":"none"', False)],
)
def test_whatever_names_gloo_needs_it(content: bytes, needed: bool, tmp_path: Path) -> None:
    (tmp_path / "claim").write_bytes(content)
    assert needs_gloo(tmp_path / "claim") is needed


def test_what_can_t_be_read_needs_nothing(tmp_path: Path) -> None:
    assert not needs_gloo(tmp_path / "claim")
    assert not needs_gloo(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert not needs_gloo(tmp_path / "pipe")
    (tmp_path / "claim").write_bytes(b" " * Limits().document_bytes + b'"collectives":"gloo"')
    assert not needs_gloo(tmp_path / "claim")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What jax is told, before it starts."""
    told = list[tuple[str, object]]()
    monkeypatch.setattr(jax.config, "update", lambda name, value: told.append((name, value)))
    monkeypatch.setattr(xla_bridge, "backends_are_initialized", lambda: False)
    monkeypatch.setenv("XLA_FLAGS", "")
    return told


def proof(root: Path, devices: int) -> Path:
    """A directory with the documents of a run on so many devices."""
    mesh = Mesh((MeshAxis("data", devices),), (((), ()), ((),)), ("data",))
    (root / commitment.FILE).write_bytes(made_commitment(mesh=mesh).encode())
    (root / claim.FILE).write_bytes(b"")
    return root


def test_a_process_has_the_devices_of_the_mesh(asked: list[tuple[str, object]], tmp_path: Path) -> None:
    provide_devices(proof(tmp_path, 4), Limits())
    assert asked == [("jax_num_cpu_devices", 4)]


@pytest.mark.parametrize("devices", [1, MOST_DEVICES * 2])
def test_one_device_or_very_many_are_not_provided(
    devices: int, asked: list[tuple[str, object]], tmp_path: Path
) -> None:
    provide_devices(proof(tmp_path, devices), Limits())
    assert asked == []


def test_what_the_caller_or_a_jax_that_runs_has_said_holds(
    asked: list[tuple[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof(tmp_path, 4)
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    provide_devices(tmp_path, Limits())
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(xla_bridge, "backends_are_initialized", lambda: True)
    provide_devices(tmp_path, Limits())
    (tmp_path / commitment.FILE).write_bytes(b"{}")
    provide_devices(tmp_path, Limits())
    assert asked == []
