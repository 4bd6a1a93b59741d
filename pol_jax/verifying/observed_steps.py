"""A program's step is executed under several compilations, with its decisions in view (protocol, section 14.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.errors import BackendError
from pol_jax.judging.decision_bounds import Calibration, SiteBounds
from pol_jax.program.artifact import Program, executing
from pol_jax.program.instrumentation import BITS, own_bits
from pol_jax.program.observed_step import ObservedStep
from pol_jax.protocol.decision_entries import Entries, EntriesBySite, SiteKind, common
from pol_jax.protocol.ties import Observed
from pol_jax.protocol.trees import HostLeaves
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.compilations import Metrics, Variant

_ROUNDS: Final = 6
"""Entries change what follows, and so which further entries are near; after this many rounds none is added."""


@dataclass(frozen=True)
class Observation:
    """An observation is what one execution of a step returned, and the operands that it showed.

    Attributes:
        state: the leaves after it.
        metrics: of the step.
        shown: the operands' own values: ``[executions, *shape]`` each.
    """

    state: list[np.ndarray]
    metrics: Metrics
    shown: list[np.ndarray]

    def values(self, operand: Observed) -> np.ndarray:
        """Return the values of an operand."""
        return self.shown[operand.place]


MIN_VARIANTS: Final = 3
"""With fewer compilations no bound is calibrated: what two of them have in common may be chance."""

Observe = Callable[[EntriesBySite], Observation]
"""This function executes one step from one state under one compilation, with entries."""


@dataclass
class ObservedSteps:
    """Observed steps are instrumented ones of a program, under several compilations.

    Attributes:
        program: of the proof.
        variants: how it is compiled, the reference first.
    """

    program: Program
    variants: Sequence[Variant]
    _step: ObservedStep = field(init=False)
    _compiled: dict[tuple[str, int], Any] = field(init=False, default_factory=dict)
    _nothing: list[jax.Array] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Instrument the step.

        Raises:
            BackendError: the program can't be followed.
        """
        self._instrument(1)

    def ordered(self, variants: Sequence[Variant]) -> ObservedSteps:
        """Return the same step under some of its compilations, in another order; none is made twice."""
        other = copy(self)
        other.variants = variants
        return other

    def leave_out_refused(self) -> None:
        """Leave out the variants, beside the reference, that this machine's compiler refuses."""
        kept = [self.variants[0]]
        for at, variant in enumerate(self.variants[1:], 1):
            with suppress(BackendError), executing(self.program.signature):
                self._compile(at)
                kept.append(variant)
        self.variants = kept

    @property
    def sites(self) -> list[Observed]:
        """Return the operands that are sites, by number."""
        return [Observed(place) for place, each in enumerate(self._step.shown) if each.site is not None]

    @property
    def kinds(self) -> list[SiteKind]:
        """Return what entries of the sites must look like, by number."""
        return [SiteKind(each.dtype, each.size, each.nested) for each in self._step.sites]

    def name(self, site: int) -> str:
        """Return a site in words, for reports."""
        return f"site {site} ({self._step.sites[site].operation})"

    def observe(self, which: int, state: HostLeaves, given: StepInput, entries: EntriesBySite) -> Observation:
        """Execute a step from a state.

        Args:
            which: the compilation, by its place among the variants.
            state: leaves before the step; they are kept.
            given: inputs of the step.
            entries: values to use instead of the program's own.

        Raises:
            BackendError: the program can't be executed here, or its loops have too many turns to be followed.
        """
        with executing(self.program.signature):
            leaves = given.begin(tuple(jnp.array(leaf) for leaf in state))
            run = self._compile(which)
            new, metrics, shown, counts = run(leaves, given.batch, given.key, self._given(entries))
            most = max((int(count) for count in counts), default=0)
        # A loop had more turns than there was room for. Room for the next power of two is made, and the step repeated.
        if most > self._step.capacity:
            self._instrument(1 << (most - 1).bit_length())
            return self.observe(which, state, given, entries)
        remaining = iter(counts)
        rows = [int(next(remaining)) if each.nested else None for each in self._step.shown]
        values = [
            # Outside of loops there is one execution: all operands then have executions as their first axis.
            np.asarray(array)[None] if count is None else np.asarray(array)[:count]
            for array, count in zip(shown, rows, strict=True)
        ]
        named = dict(zip(self.program.signature.metrics, map(np.float32, metrics), strict=True))
        return Observation([np.asarray(leaf) for leaf in new], named, values)

    def settle(
        self, observe: Observe, choose: Callable[[Observation], EntriesBySite]
    ) -> tuple[EntriesBySite, Observation]:
        """Find the entries that are usable where they themselves, and no others, are used.

        An entry changes what follows, so that others come near or go away. Entries are added for some rounds; then
        those are taken away that are not usable any more, until all that are used are.

        Args:
            observe: executes the step.
            choose: says which entries are usable, in view of an execution.
        """
        used: EntriesBySite = {}
        found = observe(used)
        for _ in range(_ROUNDS):
            chosen = choose(found)
            if _same(chosen, used):
                return used, found
            used, found = chosen, observe(chosen)
        # Entries are only taken away here, so this ends: section 14.2 asks that all that are used be usable together.
        while not _same(kept := common(used, choose(found)), used):
            used, found = kept, observe(kept)
        return used, found

    def calibrate(self, executions: Sequence[Observe]) -> SiteBounds:
        """Calibrate the bounds of the sites by executions that should give the same; the first is the reference.

        What turns over among these executions would move all that follows by more than rounding. So the others are
        executed again with what the reference decides where it is near a tie.
        """
        reference = executions[0]({})
        first = self._calibration([reference, *(each({}) for each in executions[1:])])
        # Section 14.2: so that nothing turns over among these results, the others decide as the reference at its near
        # ties.
        own = {site: Entries(near.indices, near.values) for site, near in first.near(reference.values).items()}
        own = {site: each for site, each in own.items() if len(each.indices)}
        if not own:
            return first
        settled = [self.settle(each, lambda found: first.within(own, found.values))[1] for each in executions[1:]]
        return self._calibration([reference, *settled])

    def _calibration(self, observed: Sequence[Observation]) -> SiteBounds:
        calibration = Calibration(self.sites, [each.tie for each in self._step.deciders])
        for each in observed:
            calibration.add(each.values)
        return calibration.bounds()

    def _instrument(self, capacity: int) -> None:
        with executing(self.program.signature):
            self._step = self.program.observe(capacity)
            self._nothing = [
                jnp.full(each.shape, own_bits(site.dtype), each.dtype)
                for each, site in zip(self._step.nothing_given(), self._step.sites, strict=True)
            ]

    def _compile(self, which: int) -> Any:
        variant = self.variants[which]
        # A program is compiled once for each way and room; an opening may ask for hundreds of executions.
        key = variant.name, self._step.capacity
        if key not in self._compiled:
            signature, options = self.program.signature, dict(variant.options) or None
            arguments = (signature.leaves(), signature.batch(), signature.key(), self._step.nothing_given())
            lowered = jax.jit(self._step.call).lower(*arguments)
            self._compiled[key] = lowered.compile(compiler_options=options)
        return self._compiled[key]

    def _given(self, entries: EntriesBySite) -> tuple[jax.Array, ...]:
        given = list(self._nothing)
        for site, each in entries.items():
            indices, values = each.indices, each.values
            kind, shown = self._step.nothing_given()[site], self._step.sites[site]
            bits = np.full(kind.shape, own_bits(shown.dtype), kind.dtype)
            # An entry may lie beyond the turns that a loop has here; it is then of no use, and no error.
            inside = indices < shown.size * (self._step.capacity if shown.nested else 1)
            bits.reshape(-1)[indices[inside]] = values[inside].view(BITS[shown.dtype])
            given[site] = jnp.asarray(bits)
        return tuple(given)


def _same(a: EntriesBySite, b: EntriesBySite) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[site].indices, b[site].indices) for site in a)


Taken = Mapping[int, EntriesBySite]
"""These are the entries that are used, by step."""
