"""First steps of tasks with kinks, computed by one compilation and judged by the others."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import kinked
import numpy as np

from pol_jax.judging.tolerance import StepComparison
from pol_jax.program.artifact import INIT_FILE, STEP_FILE, Artifacts, Program, load_program
from pol_jax.program.signature import Signature
from pol_jax.progress import Silent
from pol_jax.protocol.decision_entries import EntriesBySite, entries_by_site
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import write_commitment
from pol_jax.proving.decision_log import DecisionLog
from pol_jax.reports.comparison import UsedDecisions
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.verifying.calibration import judge_span
from pol_jax.verifying.compilations import Compilation, Compilations, Metrics, compile_variants
from pol_jax.verifying.decided_spans import judge_decided
from pol_jax.verifying.observed_steps import ObservedSteps

State = list[np.ndarray]
Decide = Callable[[jax.Array], Any]


@dataclass(frozen=True)
class Decided:
    """Steps that one compilation, the prover's, computes, and that all others judge.

    Attributes:
        program: of the task.
        prover: the compilation.
        verifier: the others.
        steps: the instrumented step, under the verifier's compilations.
        inputs: of the steps.
        before: the initial state.
        after: what the prover's compilation makes of it.
        metrics: that it has on the way.
        entries: that the prover writes, by step.
    """

    program: Program
    prover: Compilation
    verifier: Compilations
    steps: ObservedSteps
    inputs: list[StepInput]
    before: State
    after: State
    metrics: list[Metrics]
    entries: dict[int, EntriesBySite]

    def plain(self) -> StepComparison:
        """The judgement without decisions."""
        return judge_span(self.verifier, self.before, self.after, self.inputs, self.metrics)

    def decided(
        self, entries: dict[int, EntriesBySite] | None = None, after: State | None = None
    ) -> tuple[StepComparison, UsedDecisions]:
        """The judgement with the prover's decisions, or with other ones, or on another state."""
        offered, state = self.entries if entries is None else entries, self.after if after is None else after
        return judge_decided(self.steps, self.verifier, self.before, state, self.inputs, self.metrics, offered)


@cache
def decided(decide: Decide, prover: str, steps: int = 1) -> Decided:
    """Compute the first steps of `kinked.deciding`.

    Args:
        decide: what it decides.
        prover: name of the compilation that computes them.
        steps: how many.
    """
    task = kinked.deciding(decide)
    with tempfile.TemporaryDirectory() as folder:
        commitment, _ = write_commitment(Path(folder), task, Choices(), Silent())
        artifacts = Artifacts(*((Path(folder) / name).read_bytes() for name in (INIT_FILE, STEP_FILE)))
    program = load_program(artifacts, Signature.from_commitment(commitment))
    made, inputs = compile_variants(program), list(step_inputs(commitment, task.source, 1, steps + 1))
    (chosen,) = (each for each in made.every if each.variant.name == prover)
    reference, *others = (each for each in made.every if each is not chosen)
    before = [np.asarray(leaf) for leaf in program.init(inputs[0].key)]
    after, metrics = chosen.execute(before, inputs)
    verifier = replace(made, reference=reference, others=tuple(others))
    observed = ObservedSteps(program, [each.variant for each in verifier.every])
    log = DecisionLog(program, observed.ordered([chosen.variant, *observed.variants]))
    logged = log.write(before, after, inputs)
    written: dict[int, EntriesBySite] = {each.step: entries_by_site(each, observed.kinds, "it") for each in logged}
    return Decided(program, chosen, verifier, observed, inputs, before, after, metrics, written)
