"""Other devices draw other random numbers, or cut the factors of products; that makes no step false (section 14.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import msgspec
import optax
import pytest
import tiny
from unsandboxed import verify, verify_opening

from pol_jax.program.artifact import Program, load_program
from pol_jax.program.audit import audit
from pol_jax.program.machine import current_environment
from pol_jax.protocol.policies import AllSegments, ListedSteps
from pol_jax.proving.choices import Choices
from pol_jax.proving.opener import open_steps
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task

STEPS = (1, 2, 3, 4)

Judge = Callable[[], Report]
WaysToJudge = Callable[[str], dict[str, Judge]]


@cache
def task() -> Task:
    """A softmax with dropout, drawn at random from the key of each step."""

    def init(key: Key) -> PyTree:
        return {"w": 0.1 * jax.random.normal(key, (tiny.FEATURES, tiny.CLASSES))}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        kept = batch["x"] * jax.random.bernoulli(key, 0.8, batch["x"].shape)

        def loss_of(weights: jax.Array) -> jax.Array:
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(kept @ weights, batch["label"]))

        loss, gradient = jax.value_and_grad(loss_of)(state["w"])
        return {"w": state["w"] - 0.1 * gradient}, {"loss": loss}

    return Task("dropout", init, step, Arrays(tiny.points()), tiny.BATCH, len(STEPS))


@cache  # a proof and its openings have one program, which is compiled once then
def with_another_generator(*arguments: Any) -> Program:
    """A program as a device runs it whose generator gives other numbers for each key."""
    program = load_program(*arguments)

    def init(key: jax.Array) -> Any:
        return program.init(key ^ jnp.uint32(1))

    def step(leaves: Any, batch: Any, key: jax.Array) -> Any:
        return program.step(leaves, batch, key ^ jnp.uint32(1))

    return replace(program, init=jax.jit(init), step=jax.jit(step, donate_argnums=0))


def verifier_on(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], load: Callable[..., Program] = with_another_generator
) -> None:
    """Let the verifier's device be another one than the prover's, with another generator or other products."""
    environment = msgspec.structs.replace(current_environment(), **fields)
    monkeypatch.setattr("pol_jax.verifying.interruption.current_environment", lambda: environment)
    for module in ("pol_jax.storage.proof", "pol_jax.verifying.opening_checks"):
        monkeypatch.setattr(f"{module}.load_program", load)


@pytest.fixture(scope="module")
def ways_to_judge(tmp_path_factory: pytest.TempPathFactory) -> WaysToJudge:
    """An honest proof with keys of a kind, and an opening of all of its steps: how each is verified."""

    @cache
    def made(prng: str) -> dict[str, Judge]:
        path = tmp_path_factory.mktemp(prng)
        proof = train(task(), path / "proof", choices=Choices(interval=1, seed="generator", prng=prng))  # type: ignore[arg-type]
        write_opening(path / "opening", open_steps(open_proof(proof.root), task().source, STEPS))
        asked: dict[str, Any] = {"any_program": True}
        claim = proof.root / "claim.json"
        return {
            "proof": lambda: verify(proof.root, task().source, policy=AllSegments(), **asked),
            "opening": lambda: verify_opening(claim, path / "opening", ListedSteps(STEPS), **asked),
        }

    return made


@pytest.mark.parametrize("prng", ["rbg", "unsafe_rbg"])
def test_a_true_run_is_undecided_where_a_device_draws_other_numbers(
    prng: str, ways_to_judge: WaysToJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = ways_to_judge(prng)
    verifier_on(monkeypatch, {"platform": "tpu", "device_kind": "TPU v4"})
    for judge in ways.values():
        report = judge()
        assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
        words = f"keys of {prng} may give other random numbers on the prover's device than here"
        for where in ("the initial state", "step 1", "step 4"):
            assert any(where in reason and words in reason for reason in report.reasons), report.reasons


@pytest.mark.parametrize(
    ("prng", "fields"),
    [("rbg", {"cpu": "an abacus"}), ("threefry2x32", {"platform": "tpu", "device_kind": "TPU v4"})],
    ids=["the same generator", "the same numbers everywhere"],
)
def test_other_numbers_are_false_where_both_devices_draw_the_same(
    prng: str, fields: dict[str, str], ways_to_judge: WaysToJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = ways_to_judge(prng)
    verifier_on(monkeypatch, fields)
    for judge in ways.values():
        report = judge()
        assert report.verdict is Verdict.REJECTED, report.reasons
        assert any("step 1 is not what this machine gives" in reason for reason in report.reasons), report.reasons


def cut(factor: jax.Array) -> jax.Array:
    """A factor as accelerators cut it by default; to fewer bits than they do, as several layers have larger errors."""
    return jax.lax.reduce_precision(factor, exponent_bits=8, mantissa_bits=4)


@cache
def with_cut_factors(rate: float) -> Callable[..., Program]:
    """The program as a device runs it that cuts the factors of products, if its rate is that of the task."""

    def step(leaves: Any, batch: Any, key: jax.Array) -> Any:
        (weights,), (label, x) = leaves, batch
        kept = cut(x * jax.random.bernoulli(jax.random.wrap_key_data(key), 0.8, x.shape))

        def loss_of(logits: jax.Array) -> jax.Array:
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, label))

        loss, gradient = jax.value_and_grad(loss_of)(kept @ cut(weights))
        return (weights - rate * kept.T @ cut(gradient),), (loss,)

    return cache(lambda *arguments: replace(load_program(*arguments), step=jax.jit(step, donate_argnums=0)))


@pytest.mark.parametrize(
    ("rate", "fields", "verdict"),
    [
        (0.1, {"platform": "tpu", "device_kind": "TPU v4"}, Verdict.INCONCLUSIVE),
        (0.2, {"platform": "tpu", "device_kind": "TPU v4"}, Verdict.REJECTED),
        (0.1, {"cpu": "an abacus"}, Verdict.REJECTED),
    ],
    ids=["another device", "another step", "another processor"],
)
def test_products_whose_precision_is_open_are_not_false_on_another_device(
    rate: float,
    fields: dict[str, str],
    verdict: Verdict,
    ways_to_judge: WaysToJudge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ways = ways_to_judge("threefry2x32")
    verifier_on(monkeypatch, fields, with_cut_factors(rate))
    for judge in ways.values():
        report = judge()
        assert report.verdict is verdict, report.reasons
        words = "step 1 can't be judged here: the program leaves the precision of its products open"
        assert any(words in reason for reason in report.reasons) is (verdict is Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(("precision", "is_open"), [(None, True), ("default", True), ("highest", False)])
def test_a_program_says_how_precise_its_products_are(precision: str | None, is_open: bool) -> None:
    def multiply(a: jax.Array) -> jax.Array:
        return jnp.matmul(a, a, precision=precision)

    exported = jax.export.export(jax.jit(multiply), platforms=("cpu",))(jax.ShapeDtypeStruct((2, 2), "float32"))
    assert audit(exported).open_products is is_open
