"""The program: ``init`` and ``step`` as StableHLO over flat lists of plain arrays.

The prover trains with the exported program, so that what is published is what ran. Whoever replays it needs neither
the task's code nor its libraries. Typed PRNG keys cross the border as their key data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.export
import numpy as np

from pol_jax.errors import BackendError, ProofError, unreadable
from pol_jax.program.audit import Audit, audit
from pol_jax.program.dataflow import ignored
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.encoding import artifact_digest
from pol_jax.protocol.keys import KEY_WORDS
from pol_jax.protocol.trees import DTYPES, ArraySpec, LeafSpec, RecordSpec, StateSpec

Leaves: TypeAlias = tuple[jax.Array, ...]
"""A state: its leaves in the order of the state's specification."""

PLATFORMS = ("cpu", "cuda", "tpu")
INIT_FILE, STEP_FILE = "program/init.jax_export", "program/step.jax_export"


@dataclass(frozen=True)
class Signature:
    """What goes in and out of a program.

    ``init(key) -> (*leaves,)`` and ``step((*leaves,), (*batch,), key) -> ((*leaves,), (*metrics,))``, where the key is
    ``uint32[words]``, a batch leaf is ``[batch_size, *shape]`` and a metric is a ``float32`` scalar.
    """

    state: StateSpec
    record: RecordSpec
    batch_size: int
    prng: str
    metrics: tuple[str, ...]

    @classmethod
    def of(cls, commitment: Commitment) -> Signature:
        """The signature that a commitment fixes."""
        schedule = commitment.schedule
        return cls(
            commitment.state, commitment.data.record, schedule.batch_size, schedule.prng, commitment.program.metrics
        )

    def key(self) -> jax.ShapeDtypeStruct:
        """Key data of one key."""
        return jax.ShapeDtypeStruct((KEY_WORDS[self.prng],), np.uint32)

    def leaves(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """The state."""
        return tuple(_abstract(leaf) for leaf in self.state)

    def batch(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """A batch."""
        return tuple(_abstract(leaf, self.batch_size) for leaf in self.record)

    def metric_values(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """The metrics."""
        return tuple(jax.ShapeDtypeStruct((), np.float32) for _ in self.metrics)


@dataclass(frozen=True)
class Artifacts:
    """The serialized programs, as stored."""

    init: bytes
    step: bytes


@dataclass(frozen=True)
class Program:
    """Programs, loaded and ready to run on jax's default device.

    Attributes:
        signature: what goes in and out.
        init: ``init(key data) -> leaves``.
        step: ``step(leaves, batch, key data) -> (leaves, metrics)``; the leaves passed in are donated.
        constant_bytes: how many bytes of values are written down in both.
    """

    signature: Signature
    init: Callable[[Any], Leaves]
    step: Callable[[Leaves, Sequence[Any], Any], tuple[Leaves, tuple[jax.Array, ...]]]
    constant_bytes: int

    def loss(self, metrics: Sequence[jax.Array]) -> jax.Array:
        """The loss among the metrics that ``step`` returned."""
        return metrics[self.signature.metrics.index("loss")]


def load_program(artifacts: Artifacts, signature: Signature) -> Program:
    """Load programs that may come from anywhere, after checking what they take, return, call and depend on.

    Raises:
        ProofError: not an exported program, other inputs or outputs than ``signature``, a foreign call, or a step that
            ignores its batch or its state.
    """
    key, leaves, batch = signature.key(), signature.leaves(), signature.batch()
    init = _load(INIT_FILE, artifacts.init, (key,), leaves)
    step = _load(STEP_FILE, artifacts.step, (leaves, batch, key), (leaves, signature.metric_values()))
    of_init, of_step = _audit(INIT_FILE, init, signature.prng), _audit(STEP_FILE, step, signature.prng)
    problem = what_it_ignores(of_step, signature)
    if problem:
        raise ProofError(STEP_FILE, problem)
    constants = of_init.constant_bytes + of_step.constant_bytes
    return Program(signature, jax.jit(init.call), jax.jit(step.call, donate_argnums=0), constants)


def what_it_ignores(step: Audit, signature: Signature) -> str | None:
    """What a step program must depend on and does not, in words; None where all is well."""
    return ignored(step.depends, len(signature.state), len(signature.record), signature.metrics.index("loss"))


def artifact_digests(artifacts: Artifacts) -> tuple[str, str]:
    """Hex digests of the init and the step artifact, as a commitment lists them."""
    pairs = (("init program", artifacts.init), ("step program", artifacts.step))
    init, step = (artifact_digest(kind, content).hex() for kind, content in pairs)
    return init, step


@contextmanager
def executing() -> Iterator[None]:
    """Whatever XLA raises over a program that may come from anywhere, as one error.

    Raises:
        BackendError: this machine can't compile or run the program.
    """
    try:
        yield
    except (RuntimeError, ValueError, MemoryError) as error:
        text = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise BackendError(f"this machine can't run the program: {text}") from error


def _load(where: str, content: bytes, takes: tuple[Any, ...], gives: tuple[Any, ...]) -> jax.export.Exported:
    try:
        exported = jax.export.deserialize(bytearray(content))
    except Exception as error:  # third-party parser of hostile bytes: whatever it raises is a refusal
        raise ProofError(where, f"not an exported program ({type(error).__name__})") from error
    if tuple(exported.platforms) != PLATFORMS or exported.nr_devices != 1:
        raise ProofError(where, f"is not for one device of {', '.join(PLATFORMS)}")
    for what, avals, tree, expected in (
        ("takes", exported.in_avals, exported.in_tree, (takes, {})),
        ("returns", exported.out_avals, exported.out_tree, gives),
    ):
        got = [(tuple(a.shape), np.dtype(a.dtype).name) for a in avals]
        want = [(tuple(a.shape), np.dtype(a.dtype).name) for a in jax.tree.leaves(expected)]
        if got != want or tree != jax.tree.structure(expected):  # type: ignore[operator]
            raise ProofError(where, f"{what} other arrays than the commitment says")
    return exported


def _audit(where: str, exported: jax.export.Exported, prng: str) -> Audit:
    try:
        return audit(exported, prng)
    except Exception as error:  # a hostile module may be odd in any way: whatever it raises is a refusal
        problem = str(error) if isinstance(error, ValueError) else f"can't be followed ({type(error).__name__})"
        raise unreadable(where, problem, error) from error


def _abstract(leaf: LeafSpec | ArraySpec, *leading: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((*leading, *leaf.shape), DTYPES[leaf.dtype])
