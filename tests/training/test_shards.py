"""States on several devices are digested piece by piece; here by one device, and by processes that are made up."""

from __future__ import annotations

from unittest.mock import Mock

import jax
import numpy as np
import pytest

from pol_jax.errors import DivergenceError
from pol_jax.program.placement import place
from pol_jax.protocol.encoding import state_digest
from pol_jax.protocol.mesh import Mesh, MeshAxis
from pol_jax.protocol.trees import LeafSpec
from pol_jax.training.shards import Shard, ShardedLayout, problem_of_copies
from pol_jax.training.states import Layout

SPEC = (LeafSpec("/w", "float32", (4, 2), (2, 1), None), LeafSpec("/b", "int32", (3,), (1,), None))
PLACEMENT = place(Mesh((MeshAxis("data", 1),), ((("data",), ()), ((),)), ("data",)))
LEAVES = [np.arange(8, dtype=np.float32).reshape(4, 2), np.arange(3, dtype=np.int32)]
DIGESTS = [bytes([at]) * 32 for at in range(3)]


def device(process: int) -> jax.Device:
    found: jax.Device = Mock(spec=jax.Device, name=f"device of {process}")
    found.process_index = process
    return found


@pytest.fixture
def of_two() -> ShardedLayout:
    """The first leaf is on devices of both processes, and the first one digests it; the second is on one alone."""
    layout = ShardedLayout(SPEC, PLACEMENT)
    ours, theirs = device(0), device(1)
    both = Shard(0, (slice(0, 4), slice(0, 2)), (0, 1), (ours, theirs))
    vars(layout)["shards"] = (both, Shard(1, (slice(0, 3),), (2,), (theirs,)))
    return layout


def test_one_device_gives_the_digest_of_the_whole_state() -> None:
    layout = ShardedLayout(SPEC, PLACEMENT)
    leaves = [jax.device_put(leaf, each) for leaf, each in zip(LEAVES, PLACEMENT.state, strict=True)]
    assert layout.view(leaves).digest() == Layout(SPEC).gather(LEAVES).digest()
    assert (layout.pieces, layout.nbytes, layout.copies(0)) == (3, 44, [])
    assert [(shard.leaf, shard.pieces) for shard in layout.owned(0)] == [(0, (0, 1)), (1, (2,))]
    assert [(each.shape, each.dtype.name) for each in layout.shapes] == [((4, 2), "float32"), ((3,), "int32")]
    assert problem_of_copies(SPEC, leaves) is None


def test_each_piece_is_digested_by_the_process_of_its_first_device(of_two: ShardedLayout) -> None:
    assert [shard.pieces for shard in of_two.owned(0)] == [(0, 1)]
    assert [shard.pieces for shard in of_two.owned(1)] == [(2,)]
    assert (of_two.copies(0), [shard.pieces for shard in of_two.copies(1)]) == ([], [(0, 1)])
    first, second, third = DIGESTS
    expected = state_digest(of_two.spec_digest, iter(DIGESTS))
    assert of_two.combine({0: first + second, 1: third}) == expected
    assert of_two.combine({1: third + first + second, 0: first + second}) == expected


def test_a_copy_with_other_bits_is_named(of_two: ShardedLayout) -> None:
    first, second, third = DIGESTS
    with pytest.raises(DivergenceError, match=r"leaf /w: .* has other bits than .*, and should have the same"):
        of_two.combine({0: first + second, 1: third + first + third})
