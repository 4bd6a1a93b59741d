"""False steps: the state after one step, in the form that each published attack gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from pol_jax.attacks.lies import DECAY, RATE
from pol_jax.attacks.paper_rule import PUBLISHED
from pol_jax.attacks.steering import TINY
from pol_jax.attacks.transcript import line, moved
from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.protocol.trees import HostLeaves
from red_team.honest_run import Place

INTERVAL: Final = 10
"""The published attacks are configured for checkpoints that are so many steps apart."""


Forge = Callable[[Place, np.random.Generator, float], HostLeaves]
"""Returns a false state after a step; the last argument is a strength, of which 1 is the published form."""


def _on_line(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    honest_run = place.honest_run
    left = max(1, int((honest_run.steps - place.step + 1) / strength))
    return line(honest_run.spec, place.before, honest_run.target, left)[1]


def _pulled(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    honest_run = place.honest_run
    pull = strength * PUBLISHED.slack * honest_run.d_ref / (2 * INTERVAL)
    return moved(place.honest, honest_run.target, honest_run.places, pull)


def _smaller(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    return moved(place.before, place.honest_run.target, place.honest_run.places, 0.9 * strength * place.update)


def _poison(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    return _at_parameters(place, lambda a, b: a - strength * (b - a))


def _rate(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    return _at_parameters(place, lambda a, b: a + (1 + strength * (RATE - 1)) * (b - a))


def _decay(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    return _at_parameters(place, lambda a, b: b - strength * DECAY * a)


def _at_parameters(place: Place, value: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> HostLeaves:
    found = list(place.honest)
    for at in place.honest_run.places:
        found[at] = value(place.before[at], place.honest[at]).astype(place.honest[at].dtype)
    return found


def _batch(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    return place.with_batch(place.other.batch)


def _records(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    """Replace one record of the batch by another one: the least that adding or leaving out data can do."""
    at, by = int(draw.integers(len(place.inputs.indices))), int(draw.integers(len(place.inputs.indices)))
    batch = [np.array(leaf) for leaf in place.inputs.batch]
    for leaf, other in zip(batch, place.other.batch, strict=True):
        leaf[at] = other[by]
    return place.with_batch(batch)


def _half(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    size = len(place.inputs.indices)
    half = draw.permutation(size)[np.arange(size) % (size // 2)]
    return place.with_batch([leaf[half] for leaf in place.inputs.batch])


def _glue(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    return place.honest_run.target


def _momentum(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    """Replace the momentum after the step by one that leads towards the target."""
    honest_run, found = place.honest_run, list(place.honest)
    by_path = {leaf.path: at for at, leaf in enumerate(honest_run.spec)}
    for at in honest_run.places:
        name = honest_run.spec[at].path.removeprefix("/params")
        for path, own in by_path.items():
            if path.endswith(f"/trace{name}"):
                found[own] = (strength * (honest_run.target[at] - place.honest[at])).astype(found[own].dtype)
    return found


def _integers(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    whole = [at for at, leaf in enumerate(place.honest_run.spec) if leaf.prng is None and "int" in leaf.dtype]
    return [np.asarray(leaf + 1, leaf.dtype) if at in whole else leaf for at, leaf in enumerate(place.honest)]


def _zeros(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    return [np.where(leaf == 0, -leaf, leaf) if leaf.dtype == np.float32 else leaf for leaf in place.honest]


def _low_precision(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    """Move every leaf of low precision by one unit in the last place."""
    coarse = [at for at, leaf in enumerate(place.honest_run.spec) if leaf.dtype in ("bfloat16", "float16")]
    return [np.asarray(np.nextafter(x, x.dtype.type(4))) if at in coarse else x for at, x in enumerate(place.honest)]


def _amplify(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    """Put tiny first moments where both moments are 0, which the next step divides by next to nothing."""
    found, by_path = list(place.honest), {leaf.path: at for at, leaf in enumerate(place.honest_run.spec)}
    for path, at in by_path.items():
        if "/mu/" in path and (second := by_path.get(path.replace("/mu/", "/nu/"))) is not None:
            dead = (place.honest[at] == 0) & (place.honest[second] == 0)
            found[at] = np.where(dead, strength * TINY, place.honest[at]).astype(place.honest[at].dtype)
    return found


def _one_leaf(place: Place, draw: np.random.Generator, strength: float) -> HostLeaves:
    """Move one leaf alone, chosen by chance, by a hundredth of its own update: the others stay true."""
    floating = [at for at, leaf in enumerate(place.honest_run.spec) if is_floating(leaf.dtype)]
    at, found = int(draw.choice(floating)), list(place.honest)
    update = place.honest[at] - place.before[at]
    found[at] = (place.honest[at] + 0.01 * strength * update).astype(update.dtype)
    return found


FORMS: Final[Mapping[str, Forge]] = {
    "interpolation": _on_line,
    "directed-retraining": _pulled,
    "blindfold-top-q": _smaller,
    "poisoned-step": _poison,
    "forged-batches": _batch,
    "data-subtraction": _records,
    "data-addition": _records,
    "other-rate": _rate,
    "other-decay": _decay,
    "half-batch": _half,
    "glued-runs": _glue,
    "target-in-optimizer": _momentum,
    "integer-leaves": _integers,
    "signs-of-zeros": _zeros,
    "low-precision-leaves": _low_precision,
    "optimizer-amplification": _amplify,
    "one-leaf": _one_leaf,
}
"""What each attack makes of one step; attacks on the program or the documents have no such form."""
