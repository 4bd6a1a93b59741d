"""The kernel, interpreted, gives the digests of the specification; and accelerators' compilers take it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, use_abstract_mesh

from pol_jax.protocol.encoding import PIECE_CONTEXT, piece_digest
from pol_jax.training.device_blake3 import _words, context_key, digest_pieces


def pieces(dtype: str, count: int, elements: int) -> np.ndarray:
    """Equal pieces with any bytes, NaN and infinities among them; a bool is 0 or 1."""
    drawn = np.random.default_rng(elements).integers(0, 256, (count, elements * np.dtype(dtype).itemsize), np.uint8)
    return drawn % 2 == 1 if dtype == "bool" else drawn.view(dtype)


@pytest.mark.parametrize(
    ("dtype", "count", "elements"),
    [
        ("float32", 1, 1),  # a word
        ("uint32", 3, 512),  # two whole chunks each
        ("bool", 2, 5001),  # five chunks, the last one of a part of a word
        ("bfloat16", 1, 1409),  # three chunks, the last one of several blocks
    ],
)
def test_digests_are_those_of_the_host(dtype: str, count: int, elements: int) -> None:
    assert ml_dtypes.bfloat16  # numpy knows the name then
    given = pieces(dtype, count, elements)
    found = jax.jit(lambda rows: digest_pieces(rows, context_key(PIECE_CONTEXT), "cpu"))(given)
    assert [row.tobytes() for row in np.asarray(found).astype("<u4")] == [
        piece_digest(row.view(np.uint8).data) for row in given
    ]


@pytest.mark.parametrize("dtype", ["int64", "complex64", "float8_e5m2"])
def test_words_are_the_bytes_of_elements(dtype: str) -> None:
    """A wide element is two words, the low one first; narrow ones share a word, and the last is filled up."""
    given = pieces(dtype, 2, 7)
    with jax.enable_x64(True):
        found = np.asarray(_words(jnp.asarray(given))).astype("<u4").tobytes()
    assert found == b"".join(row.tobytes() + bytes(-row.nbytes % 4) for row in given)


def test_a_context_is_of_one_block() -> None:
    with pytest.raises(ValueError, match="at most 64"):
        context_key("a" * 65)


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    ("platform", "target", "kind"), [("gpu", "cuda", "NVIDIA H100"), ("tpu", "tpu", "TPU v5 lite")]
)
def test_accelerators_compilers_take_the_kernel(platform: str, target: str, kind: str) -> None:
    """It is lowered to their own languages; no accelerator is needed for that."""
    device, given = AbstractDevice(kind, 1, platform), jax.ShapeDtypeStruct((2, 4000), jnp.float32)
    with use_abstract_mesh(AbstractMesh((1,), ("all",), abstract_device=device)):
        traced = jax.jit(lambda rows: digest_pieces(rows, (0,) * 8, platform)).trace(given)
        assert "custom_call" in traced.lower(lowering_platforms=(target,)).as_text()
