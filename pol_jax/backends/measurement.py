"""From the states that came out of a backend to errors: numbers, and what a verifier there would say of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
from msgspec.structs import replace

from pol_jax.backends.material import Material, as_state
from pol_jax.backends.results import Error, Reproduction
from pol_jax.backends.runner import Ran
from pol_jax.errors import printable
from pol_jax.judging.tolerance import StepComparison, judge_step, with_losses
from pol_jax.protocol.challenge import Metric
from pol_jax.protocol.distances import distance
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import ArraySpec
from pol_jax.training.states import HostState, Layout

_METRICS: Final[tuple[Metric, ...]] = ("l1", "l2", "linf", "cosine")


def reproductions(material: Material, ran: Ran) -> tuple[Reproduction, ...]:
    """All that a backend reproduced: steps, then segments at every committed state on their way.

    Raises:
        ValueError: it has other arrays than were asked for.
    """
    return (*_steps(material, ran), *_segments(material, ran))


def _steps(material: Material, ran: Ran) -> Iterator[Reproduction]:
    for span in material.spans:
        got = _state(material, ran, f"step/{span.stop}")
        losses = _losses(ran, f"loss/{span.stop}", span)
        found = _reproduction("step", material, span.start, span, got, losses)
        if not found.exact:
            judged = _judge(material, span, got, losses, ran)
            reason = printable("; ".join(judged.reasons[:3]))[:1024]
            found = replace(found, tolerance=judged.outcome.value, tolerance_reason=reason)
        yield found


def _segments(material: Material, ran: Ran) -> Iterator[Reproduction]:
    for segment in material.segments:
        start = segment[0].start
        for span in segment:
            got = _state(material, ran, f"segment/{start}/{span.stop}")
            losses = _losses(ran, f"segment loss/{start}/{span.stop}", span)
            yield _reproduction("segment", material, start, span, got, losses)


def _reproduction(
    kind: Literal["step", "segment"],
    material: Material,
    start: int,
    span: Span,
    got: HostState,
    losses: Sequence[np.float32],
) -> Reproduction:
    """The state after a span, against the committed one; ``start`` is the step of the state that all began with."""
    spec, before, after = material.commitment.state, material.states[start].leaves, material.states[span.stop].leaves
    total = _error(None, spec, before, after, got.leaves)
    committed = [material.losses[step].tobytes() for step in span.steps]
    return Reproduction(
        kind=kind,
        start=start,
        stop=span.stop,
        digest=got.digest().hex(),
        exact=total.equal and [loss.tobytes() for loss in losses] == committed,
        total=total,
        leaves=tuple(
            _error(leaf.path, [leaf], [a], [b], [mine])
            for leaf, a, b, mine in zip(spec, before, after, got.leaves, strict=True)
        ),
    )


def _error(
    path: str | None,
    spec: Sequence[ArraySpec],
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    got: Sequence[np.ndarray],
) -> Error:
    """The distances between a committed state and what came out; equal bits have none, NaN among them or not."""
    equal = all(a.tobytes() == b.tobytes() for a, b in zip(after, got, strict=True))
    off = [0.0 if equal else _finite(distance(spec, after, got, metric)) for metric in _METRICS]
    update = [_finite(distance(spec, before, after, metric)) for metric in _METRICS[:3]]
    return Error(None if path is None else path[:4096], equal, *off, *update)


def _judge(material: Material, span: Span, got: HostState, losses: Sequence[np.float32], ran: Ran) -> StepComparison:
    """What `pol_jax.verifying.opening_verifier` would say there, under the compilations of that backend."""
    end = f"/step/{span.stop}"
    names = [
        name.removesuffix(end) for name in sorted(ran.arrays) if name.startswith("variant/") and name.endswith(end)
    ]
    others = [_state(material, ran, name + end).leaves for name in names]
    before, after = material.states[span.start].leaves, material.states[span.stop].leaves
    found = judge_step(before, after, got.leaves, others, material.commitment.state)
    own = [losses, *(_losses(ran, f"{name}/loss/{span.stop}", span) for name in names)]
    return with_losses(found, [material.losses[step] for step in span.steps], own)


def _state(material: Material, ran: Ran, name: str) -> HostState:
    return as_state(Layout(material.commitment.state), _array(ran, name))


def _losses(ran: Ran, name: str, span: Span) -> list[np.float32]:
    losses = _array(ran, name).view("<f4")
    if len(losses) != len(span.steps):
        raise ValueError(f"{name}: {len(losses)} losses of {len(span.steps)} steps")
    return list(losses)


def _array(ran: Ran, name: str) -> np.ndarray:
    if name not in ran.arrays:
        raise ValueError(f"no array {name}")
    return ran.arrays[name]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
