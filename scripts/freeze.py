"""Make the frozen proofs that every later version must go on verifying: ``tests/frozen``.

    python scripts/freeze.py tests/frozen/pol-jax-1/jax-0.12.0.1

Run this by hand, once for a format and a release of jax, and check the result in. It is not part of the tests: they
read what lies there, and never make it again. Frozen proofs are not replaced; a later format gets a folder of its own.

The tasks are so small that a proof has some tens of kilobytes, and so smooth (tanh, no near ties) that other backends
can judge them within a tolerance. Initial weights are small fractions, made of random bits: they are the same bits on
every backend.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pol_jax

RECORDS, FEATURES, CLASSES, BATCH = 24, 8, 3, 4
SECRET = bytes(range(32))
"""Salts the records of the proof ``salted``. A secret that is published is none; this one is for tests."""

PROVER = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
BEACON = "a value that nobody knew before"


def records() -> dict[str, np.ndarray]:
    """Make the records by integer arithmetic, so that every version of NumPy makes the same ones."""
    index, feature = np.arange(RECORDS)[:, None], np.arange(FEATURES)[None]
    x = (7 * index + 13 * feature + 5 * index * feature) % 32
    return {"label": (np.arange(RECORDS) % CLASSES).astype(np.int32), "x": (x / 16 - 1).astype(np.float32)}


def network(dtype: Any = jnp.float32) -> pol_jax.Task:
    """Build a two-layer network that is trained by momentum, with dropout of inputs, in the given dtype."""

    def init(key: jax.Array) -> Any:
        first, second = jax.random.split(key)
        params = {
            "b": jnp.zeros(CLASSES, dtype),
            "v": _fractions(first, (FEATURES, FEATURES), dtype),
            "w": _fractions(second, (FEATURES, CLASSES), dtype),
        }
        return {"momentum": jax.tree.map(jnp.zeros_like, params), "params": params}

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        x = batch["x"] * jax.random.bernoulli(key, 0.75, batch["x"].shape)
        loss, gradient = jax.value_and_grad(_loss)(state["params"], x.astype(dtype), batch["label"])
        momentum = jax.tree.map(lambda m, g: dtype(0.5) * m + g, state["momentum"], gradient)
        params = jax.tree.map(lambda p, m: p - dtype(0.25) * m, state["params"], momentum)
        return {"momentum": momentum, "params": params}, {"loss": loss.astype(jnp.float32)}

    return _task(f"frozen network of {jnp.dtype(dtype).name}", init, step)


def keyed() -> pol_jax.Task:
    """Build a linear model whose state has a typed PRNG key, a counter and an empty leaf."""

    def init(key: jax.Array) -> Any:
        return {
            "count": jnp.int32(0),
            "key": jax.random.fold_in(key, 1),
            "nothing": jnp.zeros((0, 3)),
            "w": _fractions(key, (FEATURES, CLASSES), jnp.float32),
        }

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        own, rest = jax.random.split(state["key"])
        x = batch["x"] * jax.random.bernoulli(own, 0.75, batch["x"].shape)
        params = {"b": jnp.zeros(CLASSES), "v": jnp.eye(FEATURES), "w": state["w"]}
        loss, gradient = jax.value_and_grad(_loss)(params, x, batch["label"])
        new = {"count": state["count"] + 1, "key": rest, "w": state["w"] - 0.25 * gradient["w"]}
        return {**state, **new}, {"loss": loss}

    return _task("frozen keys", init, step)


@dataclass(frozen=True)
class Frozen:
    """One proof that is frozen.

    Attributes:
        name: the directory of the proof.
        task: what is trained.
        steps: how many.
        interval: steps between two checkpoints.
        opened: steps that are opened in ``NAME.opening``; empty for no opening.
        parent: the proof that it starts from, or None.
        keep_every: of so many checkpoints, one is kept.
        choices: further choices of the prover, by their names.
    """

    name: str
    task: pol_jax.Task
    steps: int
    interval: int
    opened: tuple[int, ...] = ()
    parent: str | None = None
    keep_every: int | None = None
    choices: tuple[tuple[str, Any], ...] = ()


def catalogue() -> Iterator[Frozen]:
    """List what is frozen; a proof comes after the one that it starts from."""
    plain = network()
    signed = (("prover", PROVER), ("beacon", BEACON))
    yield Frozen("plain", plain, steps=6, interval=3, opened=(1, 4))
    yield Frozen("tuned", plain, steps=4, interval=4, parent="plain")
    yield Frozen("tuned-again", plain, steps=4, interval=2, parent="tuned")
    yield Frozen("salted", plain, steps=4, interval=2, opened=(3,), choices=(("secret", SECRET), *signed))
    yield Frozen("thinned", plain, steps=8, interval=2, keep_every=2)
    yield Frozen("witnesses", plain, steps=6, interval=6, opened=(3,), choices=(("witness_interval", 2),))
    yield Frozen("bfloat16", network(jnp.bfloat16), steps=4, interval=2, opened=(2,))
    yield Frozen("keys", keyed(), steps=4, interval=2, opened=(2,))


def freeze(frozen: Frozen, folder: Path) -> pol_jax.Proof:
    """Train with a proof in ``folder``, and open the steps that are to be opened."""
    choices = dict(frozen.choices)
    if frozen.parent:
        choices["start"] = pol_jax.Start(pol_jax.open_proof(folder / frozen.parent), ("/params",))
    proof = pol_jax.train(
        frozen.task,
        folder / frozen.name,
        steps=frozen.steps,
        keep_every=frozen.keep_every,
        choices=pol_jax.Choices(interval=frozen.interval, seed=f"frozen {frozen.name}", **choices),
    )
    if frozen.opened:
        opening = pol_jax.open_steps(proof, frozen.task.source, frozen.opened, secret=choices.get("secret"))
        pol_jax.write_opening(folder / f"{frozen.name}.opening", opening)
    return proof


def main() -> None:
    """Freeze all that is in the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder that is not there yet")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True)
    for frozen in catalogue():
        proof = freeze(frozen, folder)
        print(proof.claim.digest().hex() if proof.claim else "", frozen.name)


def _fractions(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Draw multiples of 1/256 from -1/2 on: no rounding, so the same bits everywhere."""
    bits = jax.random.bits(key, shape, jnp.uint8)
    return ((bits.astype(jnp.float32) - 128) / 256).astype(dtype)


def _loss(params: Any, x: jax.Array, label: jax.Array) -> jax.Array:
    """Compute the cross-entropy of the network's logits."""
    logits = jnp.tanh(x @ params["v"]) @ params["w"] + params["b"][None]
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(logits) * jax.nn.one_hot(label, CLASSES, dtype=x.dtype), axis=-1))


def _task(name: str, init: Any, step: Any) -> pol_jax.Task:
    source = pol_jax.Arrays(records())
    return pol_jax.Task(name, init, step, source, BATCH, 8, 2, hyperparameters={"rate": 0.25, "seed of data": False})


if __name__ == "__main__":
    main()
