"""One step program is compiled in several ways on this machine, to see how far rounding alone moves its results.

The last bits of a step differ between backends. How much they can differ in this very step shows when it is compiled
with other options and run again. The tolerance for other backends is calibrated by that noise (section 14.1 of the
protocol).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt32

from pol_jax.errors import BackendError
from pol_jax.program.artifact import Leaves, Program, executing
from pol_jax.program.signature import Signature
from pol_jax.protocol.trees import HostLeaves, StateSpec
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.copies import check_copies

_Option = str | bool

Metrics = Mapping[str, np.float32]
"""The metrics of one step, by name."""


@dataclass(frozen=True)
class Variant:
    """A variant is a way to compile a program.

    Attributes:
        name: for reports.
        options: XLA compiler options, by name; empty for the default compilation.
    """

    name: str
    options: Mapping[str, _Option] = field(default_factory=dict)


DEFAULT: Final = Variant("default")
_NO_ALGSIMP: Final = Variant("no algebraic simplification", {"xla_disable_hlo_passes": "algsimp"})
_UNOPTIMISED: Final = Variant("no optimisation", {"xla_backend_optimization_level": "0"})

# Options without effect on bits (CPU: vector width, ISA, Eigen threads, XNNPACK) would only seem to calibrate.
_OTHERS: Final[Mapping[str, tuple[Variant, ...]]] = {
    "cpu": (
        _UNOPTIMISED,
        Variant("fast math", {"xla_cpu_enable_fast_math": True}),
        Variant("no fusion", {"xla_disable_hlo_passes": "fusion"}),
        _NO_ALGSIMP,
    ),
    "gpu": (
        Variant("no autotuning", {"xla_gpu_autotune_level": "0"}),
        Variant("no triton", {"xla_gpu_enable_triton_gemm": False}),
        Variant("no fusion", {"xla_disable_hlo_passes": "fusion,priority-fusion"}),
        _NO_ALGSIMP,
    ),
    "tpu": (
        Variant("no excess precision", {"xla_allow_excess_precision": False}),
        Variant("no fusion", {"xla_disable_hlo_passes": "fusion"}),
        _NO_ALGSIMP,
        _UNOPTIMISED,
    ),
}


def variants(platform: str | None = None) -> tuple[Variant, ...]:
    """Return the variants worth trying: the default one, which is the reference, then those that change bits.

    Args:
        platform: as `jax.default_backend` names it; None for this process's. An unknown one has the default alone.
    """
    # On a platform without others nothing is decided, since at least two are needed (section 14.1).
    return (DEFAULT, *_OTHERS.get(platform or jax.default_backend(), ()))


def _nothing() -> None:
    """Do nothing: nobody asked for signs of life."""


@dataclass(frozen=True)
class Compilation:
    """A compilation is a step program that was compiled in one of several ways.

    Attributes:
        variant: how.
        signature: what the program takes and returns.
        step: ``step(leaves, batch, key data) -> (leaves, metrics)``; the leaves passed in are donated.
        alive: called before each execution; a span of large steps, compiled in many ways, takes long.
    """

    variant: Variant
    signature: Signature
    step: Callable[[Leaves, Sequence[Any], Any], tuple[Leaves, tuple[jax.Array, ...]]]
    alive: Callable[[], None] = _nothing

    def run(self, state: Sequence[np.ndarray], inputs: Iterable[StepInput]) -> list[np.ndarray]:
        """Execute a step for each of ``inputs``, and return the last state, on the host. ``state`` is kept.

        Raises:
            BackendError: the program can't be executed here.
        """
        return self.execute(state, inputs)[0]

    def execute(
        self, state: Sequence[np.ndarray], inputs: Iterable[StepInput]
    ) -> tuple[list[np.ndarray], list[Metrics]]:
        """Execute like `run`, and return the metrics of each step too.

        Raises:
            BackendError: the program can't be executed here.
        """
        values = list[Metrics]()
        with executing(self.signature):
            # Copies: the step donates the memory of its state, and the committed one is needed again.
            leaves: Leaves = tuple(jnp.array(leaf) for leaf in state)
            for each in inputs:
                self.alive()
                # One call a step, as in the run: steps that are compiled together would have other bits (section 9).
                leaves, metrics = self.step(each.begin(leaves), each.batch, each.key)
                values.append(dict(zip(self.signature.metrics, map(np.float32, metrics), strict=True)))
            check_copies(self.signature, leaves)
            return [np.asarray(leaf) for leaf in leaves], values


@dataclass(frozen=True)
class Compilations:
    """Compilations are all those of one program that this machine could make.

    Attributes:
        spec: of the program's states.
        reference: what others are compared with.
        others: the rest.
        refused: names of the variants that the compiler refused, each with its reason.
    """

    spec: StateSpec
    reference: Compilation
    others: tuple[Compilation, ...]
    refused: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[Compilation, ...]:
        """Return all of them, the reference first."""
        return (self.reference, *self.others)

    def next_states(
        self, results: Sequence[HostLeaves], others: Sequence[HostLeaves], inputs: Iterable[StepInput]
    ) -> tuple[Sequence[HostLeaves], Sequence[HostLeaves]]:
        """Execute one more step from this machine's results and from other states, all under the reference.

        Returns:
            The states after it, in the same order.
        """
        after, after_others = ([self.reference.run(state, inputs) for state in states] for states in (results, others))
        return after, after_others


def compile_step(program: Program, variant: Variant, alive: Callable[[], None] = _nothing) -> Compilation:
    """Compile a program's step in one way. The default gives the bits of ``program.step``.

    Args:
        program: the program.
        variant: the way.
        alive: called before this, and before each execution.

    Raises:
        BackendError: the compiler doesn't know an option, or can't compile the program.
    """
    alive()
    signature = program.signature
    jitted = cast(jax.stages.Wrapped, program.step)
    with executing(signature):
        lowered = jitted.lower(signature.leaves(), signature.batch(), signature.key())
        compiled = lowered.compile(compiler_options=dict(variant.options) or None)
        return Compilation(variant, signature, compiled, alive)


def compile_variants(
    program: Program, tried: Sequence[Variant] | None = None, alive: Callable[[], None] = _nothing
) -> Compilations:
    """Compile a program's step in several ways; those that the compiler refuses are left out and named.

    Args:
        program: the program.
        tried: the reference first; None for `variants`.
        alive: called before each compilation and each execution.

    Raises:
        BackendError: the reference can't be compiled.
    """
    first, *rest = variants() if tried is None else tried
    # Without the reference there is nothing to compare with, so its error is raised; another variant may be missing.
    reference, others, refused = compile_step(program, first, alive), list[Compilation](), list[str]()
    for variant in rest:
        try:
            others.append(compile_step(program, variant, alive))
        except BackendError as error:
            refused.append(f"{variant.name}: {error}")
    return Compilations(program.signature.state, reference, tuple(others), tuple(refused))


def initial_state(program: Program, key: UInt32[np.ndarray, " words"], variant: Variant) -> list[np.ndarray]:
    """Compile ``init`` in one way, and return what it gives, on the host.

    Raises:
        BackendError: the compiler doesn't know an option, or the program can't be executed here.
    """
    jitted = cast(jax.stages.Wrapped, program.init)
    with executing(program.signature):
        compiled = jitted.lower(program.signature.key()).compile(compiler_options=dict(variant.options) or None)
        leaves = compiled(key)
        check_copies(program.signature, leaves)
        return [np.asarray(leaf) for leaf in leaves]
