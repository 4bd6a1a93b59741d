"""Errors are measured from the states that a backend gave, with what a verifier on that backend would say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
from msgspec.structs import replace

from pol_jax.backends.results import Error, Reproduction
from pol_jax.backends.runner import BackendRun
from pol_jax.backends.workload import Workload, as_state
from pol_jax.errors import printable
from pol_jax.judging.step_results import StepResults
from pol_jax.judging.tolerance import StepComparison, judge_step, with_metric
from pol_jax.protocol.distances import distance, finite
from pol_jax.protocol.policies import Metric
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import ArraySpec
from pol_jax.training.states import HostState, Layout
from pol_jax.verifying.perturbation import PERTURBATIONS, perturb_last_places, take_back

_METRICS: Final[tuple[Metric, ...]] = ("l1", "l2", "linf", "cosine")


def reproductions(workload: Workload, ran: BackendRun) -> tuple[Reproduction, ...]:
    """Return all that a backend reproduced: steps, then segments at every committed state on their way.

    A step starts from the committed state before it, so that its error is its own; in a segment, errors add up.

    Raises:
        ValueError: it has other arrays than were asked for.
    """
    return (*_steps(workload, ran), *_segments(workload, ran))


def _steps(workload: Workload, ran: BackendRun) -> Iterator[Reproduction]:
    for span in workload.spans:
        got = _state(workload, ran, f"step/{span.stop}")
        losses = _losses(ran, f"loss/{span.stop}", span)
        found = _reproduction("step", workload, span.start, span, got, losses)
        # Equal bits need no tolerance, and the backend has computed nothing to calibrate one by.
        if not found.exact:
            judged = _judge(workload, span, got, losses, ran)
            reason = printable("; ".join(judged.reasons[:3]))[:1024]
            found = replace(found, tolerance=judged.outcome.value, tolerance_reason=reason)
        yield found


def _segments(workload: Workload, ran: BackendRun) -> Iterator[Reproduction]:
    for segment in workload.segments:
        start = segment[0].start
        for span in segment:
            got = _state(workload, ran, f"segment/{start}/{span.stop}")
            losses = _losses(ran, f"segment loss/{start}/{span.stop}", span)
            yield _reproduction("segment", workload, start, span, got, losses)


def _reproduction(
    kind: Literal["step", "segment"],
    workload: Workload,
    start: int,
    span: Span,
    got: HostState,
    losses: Sequence[np.float32],
) -> Reproduction:
    """Compare the state after a span with the committed one; the replay began with the state after step ``start``."""
    spec, before, after = workload.commitment.state, workload.opened.state(start), workload.opened.state(span.stop)
    total = _error(None, spec, before, after, got.leaves)
    committed = [loss.tobytes() for loss in workload.losses(span)]
    return Reproduction(
        kind=kind,
        start=start,
        stop=span.stop,
        digest=got.digest().hex(),
        exact=total.equal and [loss.tobytes() for loss in losses] == committed,
        total=total,
        leaves=tuple(
            _error(leaf.path, [leaf], [a], [b], [own])
            for leaf, a, b, own in zip(spec, before, after, got.leaves, strict=True)
        ),
    )


def _error(
    path: str | None,
    spec: Sequence[ArraySpec],
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    got: Sequence[np.ndarray],
) -> Error:
    """Measure how far a committed state and the backend's are apart: 0 if the bits are equal, even those of NaNs."""
    equal = all(a.tobytes() == b.tobytes() for a, b in zip(after, got, strict=True))
    off = [0.0 if equal else finite(distance(spec, after, got, metric)) for metric in _METRICS]
    update = [finite(distance(spec, before, after, metric)) for metric in _METRICS[:3]]
    return Error(None if path is None else path[:4096], equal, *off, *update)


def _judge(
    workload: Workload, span: Span, got: HostState, losses: Sequence[np.float32], ran: BackendRun
) -> StepComparison:
    """Judge a step by the tolerance of a verifier with that backend (`pol_jax.verifying.calibration`).

    Noise is what that backend's compilations differ in, and rounding what they make of perturbed states. A verifier
    does more than this: it uses decisions, and asks whether last places decide and where one more step leads.
    """
    end, spec = f"/step/{span.stop}", workload.commitment.state
    before, after = workload.opened.state(span.start), workload.opened.state(span.stop)
    names = [
        name.removesuffix(end) for name in sorted(ran.arrays) if name.startswith("variant/") and name.endswith(end)
    ]
    places = [f"perturbed/{seed},{sign}" for seed, sign in PERTURBATIONS]
    others, moved = ([_state(workload, ran, name + end).leaves for name in each] for each in (names, places))
    starts = [perturb_last_places(spec, before, *each) for each in PERTURBATIONS]
    perturbed = [take_back(state, start, before) for state, start in zip(moved, starts, strict=True)]
    results = StepResults(
        before=before,
        after=after,
        reference=got.leaves,
        others=others,
        perturbed=perturbed,
        rounded=len(PERTURBATIONS),
    )
    found = judge_step(spec, results)
    theirs, off = ([_losses(ran, f"{name}/loss/{span.stop}", span) for name in each] for each in (names, places))
    return with_metric(found, workload.commitment.program.loss, workload.losses(span), [losses, *theirs], off)


def _state(workload: Workload, ran: BackendRun, name: str) -> HostState:
    return as_state(Layout(workload.commitment.state), _array(ran, name))


def _losses(ran: BackendRun, name: str, span: Span) -> list[np.float32]:
    losses = _array(ran, name).view("<f4")
    if len(losses) != len(span.steps):
        raise ValueError(f"{name}: {len(losses)} losses of {len(span.steps)} steps")
    return list(losses)


def _array(ran: BackendRun, name: str) -> np.ndarray:
    if name not in ran.arrays:
        raise ValueError(f"no array {name}")
    return ran.arrays[name]
