"""What many verifications of one process have in common is made once: exports, loaded programs, compilations, results.

A program is a function of its bytes, and a result one of program, compilation, state and inputs: nothing that a
verifier judges by is other than if it were made anew, but for the time that it takes. The verifiers themselves run
whole, with no rule left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast
from unittest.mock import patch

import jax
import numpy as np
from blake3 import blake3

from pol_jax.program.artifact import Artifacts, Program, executing, load_program
from pol_jax.program.signature import Signature
from pol_jax.proving import commit, decision_log, trial
from pol_jax.storage import proof
from pol_jax.training.export import export_task
from pol_jax.training.inputs import StepInput
from pol_jax.training.task import Task
from pol_jax.verifying import compilations, initial_comparison, numeric_comparison, opening_checks, trusted_program
from pol_jax.verifying.compilations import Compilation, Compilations, Metrics, Variant, compile_step
from pol_jax.verifying.observed_steps import ObservedSteps

MOST_BYTES = 2**28
"""Of results of steps that a compilation keeps; then it drops all."""


class Remembered(Compilation):
    """A compilation that executes the same steps from the same state once."""

    _results: dict[bytes, tuple[list[np.ndarray], list[Metrics]]]

    def __init__(self, plain: Compilation) -> None:
        """Remember the results of a compilation."""
        super().__init__(plain.variant, plain.signature, plain.step)
        vars(self).update(_results={})  # it is frozen

    def execute(
        self, state: Sequence[np.ndarray], inputs: Iterable[StepInput]
    ) -> tuple[list[np.ndarray], list[Metrics]]:
        """Execute a step for each of ``inputs``, or return what came of it before; a caller changes no array."""
        given = list(inputs)
        key = _digest(state, given)
        if key not in self._results:
            if len(self._results) * sum(leaf.nbytes for leaf in state) >= MOST_BYTES:
                self._results.clear()
            self._results[key] = super().execute(state, given)
        return self._results[key]


def remembered(made: Compilations) -> Compilations:
    """Return compilations that remember their results."""
    return Compilations(made.spec, Remembered(made.reference), tuple(map(Remembered, made.others)), made.refused)


def _digest(state: Sequence[np.ndarray], inputs: Sequence[StepInput]) -> bytes:
    found = blake3()
    for leaf in state:
        found.update(np.ascontiguousarray(leaf).tobytes())
    for each in inputs:
        found.update(each.step.to_bytes(8, "little") + each.key.tobytes())
        for array in (*each.batch, *each.changed.values()):
            found.update(np.ascontiguousarray(array).tobytes())
    return found.digest()


class _Made:
    """What was made, by what it is made from."""

    def __init__(self) -> None:
        self._kept = dict[Any, Any]()

    def _once(self, key: Any, make: Callable[[], Any], *kept: Any) -> Any:
        """Return what ``make`` gives; ``kept`` are held on to, so that no other object gets their identity."""
        if key not in self._kept:
            self._kept[key] = (make(), kept)
        return self._kept[key][0]

    def export(self, task: Task, signature: Signature, limits: Any = None) -> Artifacts:
        key = "export", id(task.init), id(task.step), task.arithmetic, repr(signature), repr(limits)
        found: Artifacts = self._once(key, lambda: export_task(task, signature, limits), task.init, task.step)
        return found

    def load(self, artifacts: Artifacts, signature: Signature) -> Program:
        key = "load", artifacts.init, artifacts.step, repr(signature)
        found: Program = self._once(key, lambda: load_program(artifacts, signature))
        return found

    def compile(self, program: Program, variant: Variant, _: Callable[[], None] | None = None) -> Compilation:
        """Compile once; nobody is told of signs of life, since no other process waits for them."""
        key = "compile", id(program), variant.name
        found: Compilation = self._once(key, lambda: Remembered(compile_step(program, variant)), program)
        return found

    def begin(self, program: Program, key: np.ndarray, variant: Variant) -> list[np.ndarray]:
        def make() -> Any:
            return jitted.lower(program.signature.key()).compile(compiler_options=dict(variant.options) or None)

        jitted = cast(jax.stages.Wrapped, program.init)
        with executing(program.signature):
            compiled = self._once(("begin", id(program), variant.name), make, program)
            return [np.asarray(leaf) for leaf in compiled(key)]

    def observe(self, program: Program, variants: Sequence[Variant]) -> ObservedSteps:
        key = "observe", id(program)
        found: ObservedSteps = self._once(key, lambda: ObservedSteps(program, variants), program)
        return found.ordered(variants)


@contextmanager
def shared() -> Iterator[None]:
    """Let verifications and forgeries within this context share what they make."""
    made = _Made()
    replaced = [
        (commit, "export_task", made.export),
        (trusted_program, "export_task", made.export),
        (trial, "load_program", made.load),
        (proof, "load_program", made.load),
        (opening_checks, "load_program", made.load),
        (compilations, "compile_step", made.compile),
        (initial_comparison, "initial_state", made.begin),
        (numeric_comparison, "ObservedSteps", made.observe),
        (decision_log, "ObservedSteps", made.observe),
    ]
    with ExitStack() as stack:
        for module, name, function in replaced:
            stack.enter_context(patch.object(module, name, function))
        yield
