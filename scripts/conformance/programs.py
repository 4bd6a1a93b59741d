"""Step programs of the base ``plain`` that no verifier may run (docs/protocol.md, section 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from pol_jax.program.artifact import PLATFORMS, STEP_FILE
from pol_jax.program.signature import Signature
from pol_jax.storage.proof import open_proof

Kept = Callable[[str, Callable[[], bytes]], bytes]
LARGE: Final = np.arange(6000, dtype=np.float32) ** 2


def programs(root: Path, kept: Kept) -> Iterator[tuple[str, int, str, bytes]]:
    """Yield wounded programs: a name, the stage that refuses it, what is named, the artifact."""
    content = (root / STEP_FILE).read_bytes()
    signature = Signature.from_commitment(open_proof(root).commitment)
    for name, names, change in STEPS:
        yield name, 3, names, kept(f"{name}.jax_export", partial(_exported, content, signature, change))
    for name, names, options in OTHER_EXPORTS:
        yield name, 3, names, kept(f"{name}.jax_export", partial(_plainly, content, signature, **options))
    yield "an empty program", 3, STEP_FILE, b""
    yield "a program of zeros", 3, STEP_FILE, bytes(100)


def damaged_module(root: Path) -> bytes:
    """Return the honest step program with bytes of its module changed, behind the name of the format in it."""
    content = (root / STEP_FILE).read_bytes()
    at = content.index(b"StableHLO_v") + 60
    return content[:at] + b"\xff" * 20 + content[at + 20 :]


def _exported(content: bytes, signature: Signature, change: Callable[..., Any]) -> bytes:
    true: Callable[..., Any] = jax.export.deserialize(bytearray(content)).call
    return _export(lambda *given: change(true, *given), signature)


def _plainly(content: bytes, signature: Signature, **options: Any) -> bytes:
    true: Callable[..., Any] = jax.export.deserialize(bytearray(content)).call
    return _export(lambda *given: true(*given), signature, **options)


def _export(
    step: Callable[..., Any], signature: Signature, platforms: tuple[str, ...] = PLATFORMS, as_list: bool = False
) -> bytes:
    leaves = list(signature.leaves()) if as_list else signature.leaves()

    def called(leaves: Any, batch: Any, key: Any) -> Any:
        return step(tuple(leaves), batch, key)

    checks = [jax.export.DisabledSafetyCheck.custom_call("jump_anywhere")]
    given = (leaves, signature.batch(), signature.key())
    return bytes(
        jax.export.export(jax.jit(called if as_list else step), platforms=platforms, disabled_checks=checks)(
            *given
        ).serialize()
    )


def _foreign(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    new, metrics = true(leaves, batch, key)
    return new, (jax.ffi.ffi_call("jump_anywhere", jax.ShapeDtypeStruct((), jnp.float32))(metrics[0]), *metrics[1:])


def _ignores_batch(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    _, metrics = true(leaves, batch, key)
    return true(leaves, tuple(jnp.ones_like(leaf) for leaf in batch), key)[0], metrics


def _ignores_state(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    _, metrics = true(leaves, batch, key)
    return true(tuple(jnp.zeros_like(leaf) for leaf in leaves), batch, key)[0], metrics


def _loses_without_batch(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    return true(leaves, batch, key)[0], true(leaves, tuple(jnp.ones_like(leaf) for leaf in batch), key)[1]


def _carries_weights(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    new, metrics = true(leaves, batch, key)
    return new, (metrics[0] + jnp.asarray(LARGE)[leaves[0] % len(LARGE)] * 0, *metrics[1:])


def _draws_as_the_device_likes(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    new, metrics = true(leaves, batch, key)
    bits = jax.random.bits(jax.random.wrap_key_data(jnp.concatenate([key, key]), impl="rbg"), ())
    return new, (metrics[0] + 0 * bits.astype(jnp.float32), *metrics[1:])


def _draws_of_old(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    new, metrics = true(leaves, batch, key)
    return new, (metrics[0] + 0 * jax.lax.rng_uniform(jnp.float32(0), jnp.float32(1), ()), *metrics[1:])


def _fewer_leaves(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    new, metrics = true(leaves, batch, key)
    return new[1:], metrics


def _other_metrics(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    new, metrics = true(leaves, batch, key)
    return new, tuple(metric.astype(jnp.float16) for metric in metrics)


STEPS: Final[tuple[tuple[str, str, Callable[..., Any]], ...]] = (
    ("a program that calls a foreign function", "jump_anywhere", _foreign),
    ("a program that ignores its batch", STEP_FILE, _ignores_batch),
    ("a program that ignores its state", STEP_FILE, _ignores_state),
    ("a program whose loss ignores the batch", STEP_FILE, _loses_without_batch),
    ("a program that carries weights", "constant", _carries_weights),
    ("a program that draws as the device likes", "rng_bit_generator", _draws_as_the_device_likes),
    ("a program that draws without a key", "stablehlo.rng", _draws_of_old),
    ("a program that returns fewer leaves", STEP_FILE, _fewer_leaves),
    ("a program that returns float16 metrics", STEP_FILE, _other_metrics),
)

OTHER_EXPORTS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("a program for one platform", STEP_FILE, {"platforms": ("cpu",)}),
    ("a program for platforms in another order", STEP_FILE, {"platforms": ("tpu", "cpu", "cuda")}),
    ("a program that takes a list of leaves", STEP_FILE, {"as_list": True}),
)
