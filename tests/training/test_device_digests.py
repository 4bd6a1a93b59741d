"""States that are digested where they lie have the digests that the host gives, or the host digests them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
import unsandboxed

import pol_jax
from pol_jax.program.placement import place
from pol_jax.protocol.mesh import Mesh, MeshAxis
from pol_jax.protocol.trees import LeafSpec
from pol_jax.reports.outcomes import Verdict
from pol_jax.training import device_digests
from pol_jax.training.device_digests import DeviceDigests
from pol_jax.training.shards import ShardedLayout
from pol_jax.training.states import Layout

SPEC = (
    LeafSpec("/a", "float32", (4, 6), pieces=(2, 3), prng=None),
    LeafSpec("/b", "float32", (0, 3), pieces=(1, 3), prng=None),
)


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """This CPU is taken for one, whose kernel is interpreted; what it digests is counted."""
    dispatched, dispatch = list[Any](), device_digests._dispatch

    def counted(*arguments: Any) -> DeviceDigests:
        dispatched.append(arguments)
        return dispatch(*arguments)

    monkeypatch.setattr(device_digests, "_on_accelerators", bool)
    monkeypatch.setattr(device_digests, "_dispatch", counted)
    yield dispatched
    device_digests._program.cache_clear()


def state() -> tuple[jax.Array, ...]:
    return jnp.arange(24, dtype=jnp.float32).reshape(4, 6), jnp.zeros((0, 3))


def test_pieces_are_digested_where_they_lie(accelerator: list[Any]) -> None:
    layout, leaves = Layout(SPEC), state()
    found = layout.digest_on_device(leaves)
    assert isinstance(found, DeviceDigests)
    assert found.digest() == layout.copy_of(leaves).digest()
    assert len(accelerator) == 2  # the first state is digested twice: to compare, and to use
    layout.digest_on_device(leaves)
    assert len(accelerator) == 3


def test_shards_are_digested_where_they_lie(accelerator: list[Any]) -> None:
    mesh = Mesh((MeshAxis("all", 1),), ((("all",), ()), ((), ())), ())
    layout = ShardedLayout(mesh.cut(SPEC), place(mesh))
    leaves = layout.placement.put(layout.shapes, lambda at, index: np.asarray(state()[at])[index])
    found = layout.digest_on_device(leaves)
    assert isinstance(found, DeviceDigests)
    assert found.digest_pieces() == layout.copy_of(leaves).digest_pieces()
    assert found.digest() == Layout(layout.spec).copy_of(state()).digest()


def test_the_host_finds_the_same_rows(accelerator: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """States that are kept come to the host, all others are digested on the device."""
    pol_jax.train(tiny.plain(), tmp_path / "proof", choices=pol_jax.Choices(witness_interval=1))
    assert accelerator
    monkeypatch.setattr(device_digests, "_on_accelerators", lambda _: False)
    report = unsandboxed.verify(tmp_path / "proof", tiny.plain().source, policy=pol_jax.AllSegments())
    assert report.verdict is Verdict.ACCEPTED, report.reasons


@pytest.mark.parametrize("fault", ["raises", "lies"])
def test_a_kernel_that_fails_leaves_it_to_the_host(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def program(_pieces: Any, _platform: str) -> Any:
        if fault == "raises":
            raise RuntimeError("no such instruction")
        return lambda _arrays: jnp.zeros((9, 8), jnp.uint32)

    monkeypatch.setattr(device_digests, "_on_accelerators", bool)
    monkeypatch.setattr(device_digests, "_program", program)
    layout, leaves = Layout(SPEC), state()
    with pytest.warns(UserWarning, match="no such instruction" if fault == "raises" else "gives other digests"):
        assert layout.digest_on_device(leaves) is None
    assert layout.digest_on_device(leaves) is None  # it is not tried again
    assert layout.digester.is_of_no_use


def test_cpus_digest_nothing_so() -> None:
    assert Layout(SPEC).digest_on_device(state()) is None
