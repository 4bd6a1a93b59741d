"""A program is ``init`` and ``step``, exported as StableHLO over flat lists of plain arrays (section 9).

The prover trains with the exported program, so that what is published is what ran. A verifier needs neither the task's
code nor its libraries to replay it. Typed PRNG keys are passed as their key data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from pol_jax.errors import BackendError, ProofError, unreadable
from pol_jax.program.artifact_version import has_supported_convention, unreadable_here, unreadable_module_here
from pol_jax.program.audit import Audit, UnreadableModule, audit
from pol_jax.program.dataflow import missing_dependence
from pol_jax.program.divided import Cuts, compile_for, cuts_of, is_for_mesh, says_cuts, says_other_cuts
from pol_jax.program.observed_step import ObservedStep, observe_step
from pol_jax.program.placement import Index, Placement, place
from pol_jax.program.signature import Signature
from pol_jax.protocol.commitment import nbytes
from pol_jax.protocol.encoding import artifact_digest
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.trees import DTYPES

Leaves: TypeAlias = tuple[jax.Array, ...]
"""The leaves of a state, in the order of the state's specification."""


PLATFORMS = ("cpu", "cuda", "tpu")
"""Every artifact is for all of these, in this order (section 9), so that a proof can be verified on any of them."""
INIT_FILE, STEP_FILE = "program/init.jax_export", "program/step.jax_export"


@dataclass(frozen=True)
class Artifacts:
    """The artifacts are the two serialized programs, as they are stored."""

    init: bytes
    step: bytes


@dataclass(frozen=True)
class Program:
    """A program is loaded, audited and ready to run: on jax's default device, or on a mesh.

    Attributes:
        signature: what the program takes and returns.
        init: ``init(key data) -> leaves``.
        step: ``step(leaves, batch, key data) -> (leaves, metrics)``; the leaves passed in are donated.
        constant_bytes: size of the constants in ``init`` and ``step`` together.
        packed_bytes: size of both, compressed.
        observe: instruments the step, so that so many executions of each operand in a loop are kept (`observe_step`).
        divide: compiles ``init`` and ``step`` for the devices of a mesh.
        read: places of the leaves of rounded values whose bits may be read by the step.
        open_products: whether the step leaves open how precisely products of float32 are computed.
        names_devices: whether one of both is written for the devices of a mesh, and runs on no others.
        placement: where the arrays lie; None for one device.
    """

    signature: Signature
    init: Callable[[Any], Leaves]
    step: Callable[[Leaves, Sequence[Any], Any], tuple[Leaves, tuple[jax.Array, ...]]]
    constant_bytes: int
    packed_bytes: int
    observe: Callable[[int], ObservedStep]
    divide: Callable[[Placement], tuple[Callable[..., Any], Callable[..., Any]]]
    read: tuple[int, ...] = ()
    open_products: bool = False
    names_devices: bool = False
    placement: Placement | None = None

    def on(self, placement: Placement) -> Program:
        """Return the same program on the devices of a mesh: XLA divides it as the placement cuts its arrays."""
        init, step = self.divide(placement)
        return replace(self, init=init, step=step, placement=placement)

    def put(self, leaves: Sequence[np.ndarray | jax.Array]) -> Leaves:
        """Return a copy of a state on the device, or on those of the mesh: from the host, or from these devices."""
        if self.placement is None:
            return tuple(jnp.array(leaf) for leaf in leaves)
        on_device = tuple(leaf for leaf in leaves if isinstance(leaf, jax.Array))
        if len(on_device) == len(leaves):
            return self.placement.copy(on_device)
        last: tuple[int, np.ndarray] = -1, np.empty(0)

        def part(at: int, index: Index) -> np.ndarray:
            nonlocal last  # a leaf may be read when it is asked for; all of its parts are asked for together
            if last[0] != at:
                last = at, np.asarray(leaves[at])
            return last[1][index]

        return self.placement.put(self.signature.leaves(), part)

    def start(self, key: Any, given: Mapping[int, np.ndarray]) -> Leaves:
        """Return an initial state: the leaves of ``given`` at their places, all others from ``init``."""
        derived = self.init(key)
        if not given:
            return derived
        return tuple(
            # A copy, since XLA can't reuse memory that numpy owns, and the first step donates its state.
            jnp.copy(jax.make_array_from_callback(leaf.shape, leaf.sharding, given[at].__getitem__))
            if at in given
            else leaf
            for at, leaf in enumerate(derived)
        )

    @property
    def rows(self) -> Any:
        """Return which rows of a batch this process reads."""
        placed = self.placement
        return placed.rows(self.signature.batch_size) if placed and placed.has_peers else slice(None)

    def feed(self, batch: Sequence[np.ndarray]) -> Sequence[Any]:
        """Return the rows of a batch that this process has read in the form in which the step takes them."""
        return batch if self.placement is None else self.placement.feed(batch, self.signature.batch_size)


def load_program(artifacts: Artifacts, signature: Signature) -> Program:
    """Load programs that may come from anyone, after checking what they take, return, call and depend on.

    Raises:
        ProofError: the bytes are no exported program, its inputs or outputs are not those of ``signature``, it has an
            operation that is not allowed, or its step ignores its batch or its state.
        BackendError: the programs are of a version that this jax can't read.
    """
    key, leaves, batch = signature.key(), signature.leaves(), signature.batch()
    init = _load(INIT_FILE, artifacts.init, (key,), leaves)
    step = _load(STEP_FILE, artifacts.step, (leaves, batch, key), (leaves, signature.metric_values()))
    of_init, of_step = cuts_of(signature) or (None, None)
    init_audit = _audit(INIT_FILE, init, signature, of_init)
    step_audit = _audit(STEP_FILE, step, signature, of_step)
    problem = missing_step_dependence(step_audit, signature)
    if problem:
        raise ProofError(STEP_FILE, problem)
    constants = init_audit.constant_bytes + step_audit.constant_bytes
    packed = init_audit.packed_bytes + step_audit.packed_bytes
    # Donating the old state saves memory for a second one, and the bits of the result depend on it (section 9).
    donating = jax.jit(step.call, donate_argnums=0)
    observe, divide = partial(observe_step, step), partial(compile_for, init, step, signature)
    # What has no rounding is the same on every backend, bit for bit.
    leaves_read = sorted(at for at in step_audit.reads if at < len(signature.state))
    read = tuple(at for at in leaves_read if DTYPES[signature.state[at].dtype].kind not in "biu")
    mesh = signature.mesh if max(init.nr_devices, step.nr_devices) > 1 else None
    program = Program(
        signature,
        jax.jit(init.call),
        donating,
        constants,
        packed,
        observe,
        divide,
        read,
        step_audit.open_products,
        names_devices=mesh is not None,
    )
    # What names devices runs on these or not at all; all else begins on one.
    return program if mesh is None or jax.device_count() < mesh.device_count else program.on(place(mesh))


def check_constants(program: Program, limits: Limits) -> None:
    """Refuse programs that hold more bytes of constants than the limit: weights could be hidden there (section 9).

    Raises:
        ProofError: they hold more.
    """
    most = limits.constants(nbytes(program.signature.state))
    if program.constant_bytes > most:
        raise ProofError(
            "program", f"{program.constant_bytes} bytes of constants, more than the limit of {most} (constant_bytes)"
        )


def missing_step_dependence(step: Audit, signature: Signature) -> str | None:
    """Return what a step program must depend on and does not, in words, or None if nothing is missing."""
    places = len(signature.state), len(signature.record), signature.loss_place
    return missing_dependence(step.depends, *places)


def artifact_digests(artifacts: Artifacts) -> tuple[str, str]:
    """Return the hex digests of the artifacts of ``init`` and ``step``, as a commitment lists them."""
    pairs = (("init program", artifacts.init), ("step program", artifacts.step))
    init, step = (artifact_digest(kind, content).hex() for kind, content in pairs)
    return init, step


@contextmanager
def executing(signature: Signature) -> Iterator[None]:
    """Compile and run a program with the types that it needs, whatever this process has enabled (section 9).

    Whatever XLA raises becomes one error. The types are those of this thread alone.

    Args:
        signature: of the program; jax's 64-bit types are enabled if one of its leaves has one, and disabled otherwise.

    Raises:
        BackendError: this machine can't compile or run the program.
    """
    try:
        with jax.enable_x64(signature.is_wide):
            yield
    except (RuntimeError, ValueError, MemoryError) as error:
        # XLA's texts have many lines; a report has room for one.
        text = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise BackendError(f"this machine can't run the program: {text}") from error


def _load(where: str, content: bytes, takes: tuple[Any, ...], gives: tuple[Any, ...]) -> jax.export.Exported:
    try:
        exported = jax.export.deserialize(bytearray(content))
    except Exception as error:  # third-party parser of hostile bytes: whatever it raises is a refusal
        if other := unreadable_here(content):
            raise BackendError(f"{where} {other}") from error
        raise ProofError(where, f"is no exported program ({type(error).__name__})") from error
    if not has_supported_convention(exported):
        raise BackendError(f"{where} {unreadable_here(content) or 'has a calling convention of another jax'}")
    # A program for fewer platforms would be another module, and could not be compared with the verifier's own export.
    if tuple(exported.platforms) != PLATFORMS:
        raise ProofError(where, f"is not for devices of {', '.join(PLATFORMS)}")
    if exported.ordered_effects or exported.unordered_effects:
        raise ProofError(where, "has effects; a program gives results, and does nothing else")
    for what, avals, tree, expected in (
        ("takes", exported.in_avals, exported.in_tree, (takes, {})),
        ("returns", exported.out_avals, exported.out_tree, gives),
    ):
        got = [(tuple(a.shape), np.dtype(a.dtype).name) for a in avals]
        want = [(tuple(a.shape), np.dtype(a.dtype).name) for a in jax.tree.leaves(expected)]
        # Trees too: flat lists of arrays don't say where the state ends and the batch begins.
        if got != want or tree != jax.tree.structure(expected):  # type: ignore[operator]
            raise ProofError(where, f"{what} other arrays than the commitment says")
    return exported


def _audit(where: str, exported: jax.export.Exported, signature: Signature, cuts: Cuts | None) -> Audit:
    for_mesh = is_for_mesh(exported, signature)
    if exported.nr_devices != 1 and not for_mesh:
        raise ProofError(where, f"is for {exported.nr_devices} devices; expected 1, or those of the commitment's mesh")
    # With other shardings it would run all the same, and have other bits than those of the run, or other numbers.
    if says_cuts(exported) and (cuts is None or not for_mesh or says_other_cuts(exported, cuts)):
        raise ProofError(where, "is cut in other ways among the devices than the commitment says")
    try:
        return audit(exported, signature.prng, for_mesh=for_mesh)
    except UnreadableModule as error:
        if other := unreadable_module_here(exported):
            raise BackendError(f"{where} {other}") from error
        raise unreadable(where, str(error), error) from error
    except Exception as error:  # a hostile module may be odd in any way: whatever it raises is a refusal
        problem = str(error) if isinstance(error, ValueError) else f"can't be analysed ({type(error).__name__})"
        raise unreadable(where, problem, error) from error
