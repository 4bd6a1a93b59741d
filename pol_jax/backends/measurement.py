"""From the states that came out of a backend to errors: numbers, and what a verifier there would say of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from pol_jax.backends.material import Material, as_state
from pol_jax.backends.results import Error, Reproduction
from pol_jax.backends.runner import Ran
from pol_jax.errors import printable
from pol_jax.norms import distance
from pol_jax.opening import Span
from pol_jax.specs import ArraySpec
from pol_jax.states import HostState, Layout
from pol_jax.tolerance import StepComparison, compare, with_losses

_EQUAL = {"l1": 0.0, "l2": 0.0, "linf": 0.0, "cosine": 0.0}


def reproductions(material: Material, ran: Ran) -> tuple[Reproduction, ...]:
    """All that a backend reproduced: steps, then segments at every committed state on their way.

    Raises:
        ValueError: it has other arrays than were asked for.
    """
    return (*_steps(material, ran), *_segments(material, ran))


def _steps(material: Material, ran: Ran) -> Iterator[Reproduction]:
    layout = Layout(material.commitment.state)
    for span in material.spans:
        got = as_state(layout, _array(ran, f"step/{span.stop}"))
        found = _reproduction("step", material, span.start, span.stop, got)
        if found.total.equal:
            yield found
        else:
            judged = _judge(material, span, got, ran)
            yield Reproduction(
                kind="step",
                start=span.start,
                stop=span.stop,
                digest=found.digest,
                total=found.total,
                leaves=found.leaves,
                tolerance=judged.outcome.value,
                tolerance_reason=printable("; ".join(judged.reasons[:3])),
            )


def _segments(material: Material, ran: Ran) -> Iterator[Reproduction]:
    layout = Layout(material.commitment.state)
    for segment in material.segments:
        start = segment[0].start
        for span in segment:
            got = as_state(layout, _array(ran, f"segment/{start}/{span.stop}"))
            yield _reproduction("segment", material, start, span.stop, got)


def _reproduction(kind: str, material: Material, start: int, stop: int, got: HostState) -> Reproduction:
    spec, before, after = material.commitment.state, material.states[start].leaves, material.states[stop].leaves
    return Reproduction(
        kind="step" if kind == "step" else "segment",
        start=start,
        stop=stop,
        digest=got.digest().hex(),
        total=_error(None, spec, before, after, got.leaves),
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
    distances = _EQUAL if equal else {name: _finite(distance(spec, after, got, name)) for name in _EQUAL}  # type: ignore[arg-type]
    update = {name: _finite(distance(spec, before, after, name)) for name in ("l1", "l2", "linf")}
    return Error(
        leaf=path,
        equal=equal,
        **distances,
        update_l1=update["l1"],
        update_l2=update["l2"],
        update_linf=update["linf"],
    )


def _judge(material: Material, span: Span, got: HostState, ran: Ran) -> StepComparison:
    """What `pol_jax.opening_verifier` would say there, under the compilations of that backend."""
    spec, layout = material.commitment.state, Layout(material.commitment.state)
    end = f"step/{span.stop}"
    names = [
        name.removesuffix(end)
        for name in sorted(ran.arrays)
        if name.startswith("variant/") and name.endswith(f"/{end}")
    ]
    others = [as_state(layout, _array(ran, f"{name}step/{span.stop}")).leaves for name in names]
    before, after = material.states[span.start].leaves, material.states[span.stop].leaves
    found = compare(before, after, got.leaves, others, spec)
    losses = [_losses(ran, f"{name}loss/{span.stop}", span) for name in ("", *names)]
    return with_losses(found, [material.losses[step] for step in span.steps], losses)


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
