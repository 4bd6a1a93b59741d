"""Calls with wrong arguments, as people make them from Python; ``python tests/wrong_calls.py FOLDER`` makes them all.

They are made in a process whose annotations nobody checks, as people's own processes are. For each call one line is
printed, in JSON: its name, the class and the exit code of the error, its text, and what it left in its directory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tiny

import pol_jax

TASK = tiny.plain()
MASKED = np.ma.masked_greater(tiny.points()["x"], 3.0)


def task(**changes: Any) -> Callable[[Path], Any]:
    """A training of the small task with these arguments in place of its own."""
    return lambda out: pol_jax.train(replace(TASK, **changes), out, steps=1)


def train(**arguments: Any) -> Callable[[Path], Any]:
    """A training of the small task that is called with these arguments."""
    return lambda out: pol_jax.train(TASK, out, **arguments)


def choices(**chosen: Any) -> Callable[[Path], Any]:
    """A training with these choices."""
    return lambda out: pol_jax.train(TASK, out, steps=1, choices=pol_jax.Choices(**chosen))


CALLS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "batch of 0": (task(batch_size=0), "batch_size: expected an integer from 1 to 1048576, got 0"),
    "batch below 0": (task(batch_size=-3), "batch_size: expected an integer from 1 to 1048576, got -3"),
    "batch that is a float": (task(batch_size=8.0), "batch_size: expected an integer from 1 to 1048576, got 8.0"),
    "batch that is a bool": (task(batch_size=True), "batch_size: expected an integer from 1 to 1048576, got True"),
    "steps of 0": (task(steps=0), "steps: expected an integer from 1 to 4294967295, got 0"),
    "steps that are a float": (task(steps=1e3), "steps: expected an integer from 1 to 4294967295, got 1000.0"),
    "interval of 0": (task(interval=0), "interval: expected an integer from 1 to 1048576, got 0"),
    "interval that is a float": (task(interval=2.5), "interval: expected an integer from 1 to 1048576, got 2.5"),
    "no name": (task(name=None), "task: name: expected a text, got NoneType"),
    "half a character": (task(name="a\ud800"), "task: name: has half of a pair of UTF-16"),
    "a very long name": (task(name="x" * 100_000), "task: name: expected at most 256 characters, got 100000"),
    "init that is none": (task(init=None), "init: expected a function, got NoneType"),
    "step that is a text": (task(step="train"), "step: expected a function, got str"),
    "evaluate that is a number": (task(evaluate=3), "evaluate: expected a function, got int"),
    "hyperparameter: list": (task(hyperparameters={"a": [1, 2]}), "'a': expected a string, a number or a boolean"),
    "hyperparameter: numpy": (task(hyperparameters={"lr": np.float32(0.1)}), "a number or a boolean, got float32"),
    "hyperparameter: nan": (task(hyperparameters={"lr": float("nan")}), "'lr': expected a finite number, got nan"),
    "hyperparameter: large": (task(hyperparameters={"n": 2**60}), "'n': expected an integer of at most 53 bits"),
    "hyperparameter: None": (task(hyperparameters={"n": None}), "a number or a boolean, got NoneType"),
    "hyperparameter: name": (task(hyperparameters={3: "a"}), "hyperparameter 3: its name: expected a text, got int"),
    "source that is None": (task(source=None), "source: expected an object with len(source) and source[index]"),
    "source that is a dict": (task(source=tiny.points()), "for a dict of arrays, give pol_jax.Arrays(...)"),
    "source with a mask": (
        task(source=MASKED, init=lambda key: 0.0, step=lambda s, b, k: (s + b.mean(), {"loss": b.mean()})),
        "would lose its mask; give leaf.filled(value), and the mask as an array of its own",
    ),
    "array with a mask": (lambda _: pol_jax.Arrays({"x": MASKED}), "array /x: an array that masks values would lose"),
    "no task": (lambda out: pol_jax.train(5, out), "expected a pol_jax.Task, got int"),  # type: ignore[arg-type]
    "a path in bytes": (lambda out: pol_jax.train(TASK, bytes(out)), "got bytes; os.fsdecode(path) makes a text"),  # type: ignore[arg-type]
    "a path that is None": (lambda _: pol_jax.train(TASK, None), "path: expected a text or a pathlib.Path, got No"),  # type: ignore[arg-type]
    "a proof in bytes": (lambda out: pol_jax.open_proof(bytes(out)), "got bytes; os.fsdecode(path) makes a text"),  # type: ignore[arg-type]
    "a verified path in bytes": (lambda out: pol_jax.verify(bytes(out)), "got bytes; os.fsdecode(path) makes"),  # type: ignore[arg-type]
    "records in bytes": (lambda out: pol_jax.records_from([1], bytes(out)), "got bytes; os.fsdecode(path) makes"),  # type: ignore[arg-type]
    "an object store": (lambda _: pol_jax.train(TASK, "gs://bucket/x"), "is an address (gs://), and a proof needs"),
    "choices that are a dict": (train(choices={"interval": 4}), "choices: expected pol_jax.Choices(...), got dict"),
    "a key that is a path": (train(key="key.pem"), "key: expected what pol_jax.read_private_key returns, got str"),
    "an unknown PRNG": (choices(prng="mt19937"), "prng: expected one of threefry2x32, rbg, unsafe_rbg, got 'mt19937'"),
    "a seed that is a number": (choices(seed=0), "seed: expected a text, got int; str(seed)"),
    "a short secret": (choices(secret=b"abc"), "secret: expected 32 bytes, got 3 bytes; secrets.token_bytes(32)"),
    "a secret that is a text": (choices(secret="a" * 32), "secret: expected 32 bytes, got str"),
    "a prover that is a name": (choices(prover="me"), "prover: got the key 'me'; expected 'ed25519:' and 64 hex"),
    "witnesses every 0 steps": (choices(witness_interval=0), "witness_interval: expected an integer from 1 to"),
    "an interval below 0": (choices(interval=-1), "interval: expected an integer from 1 to 1048576, got -1"),
    "nothing kept": (train(keep_every=0), "keep_every 0: expected an integer from 1 to"),
    "too many steps": (train(steps=10**12), "steps 1000000000000: expected an integer from 1 to 4294967295"),
    "steps in words": (train(steps="many"), "steps"),
}


def made(name: str, folder: Path) -> dict[str, Any]:
    """What a call gave."""
    out = folder / name / "proof"
    try:
        CALLS[name][0](out)
    except pol_jax.PolError as error:
        found: tuple[str, int | None, str] = type(error).__name__, error.exit_code, str(error)
    except Exception as error:  # noqa: BLE001  # a traceback, which nobody should see
        found = type(error).__name__, None, str(error)
    else:
        found = "nothing", None, ""
    left = sorted(path.name for path in folder.rglob("*"))
    return {"name": name, "kind": found[0], "exit_code": found[1], "text": found[2], "left": left}


if __name__ == "__main__":
    for name in CALLS:
        print(json.dumps(made(name, Path(sys.argv[1]))), flush=True)
