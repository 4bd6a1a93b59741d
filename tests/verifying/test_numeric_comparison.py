"""Proofs whose bits differ here are judged within a tolerance, from checkpoint to checkpoint.

Honest other backends are other compilations of the same step, with which a proof is trained again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import tiny
from forge import Forger, refused, undecided
from unsandboxed import verify

from pol_jax import Choices, train
from pol_jax.protocol.policies import AllSegments, ListedSegments, Policy
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Source, Task
from pol_jax.verifying.compilations import Variant, variants

NO_FUSION = next(each for each in variants("cpu") if each.name == "no fusion")


SOURCE = tiny.linen().source


def abroad(forger: Forger, source: Source, variant: Variant = NO_FUSION) -> Path:
    """The proof as another backend would have made it, from the same initial state."""
    forger.train_on(source, 0, forger.claim.steps, forger.states[0], variant)
    forger.write()
    return forger.root


@pytest.fixture(scope="module")
def linen_proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("linen") / "proof"
    train(tiny.linen(steps=12), root, choices=Choices(seed="abroad"))
    return root


@pytest.fixture
def forger(linen_proof: Path, tmp_path: Path) -> Forger:
    return Forger(Path(shutil.copytree(linen_proof, tmp_path / "copy")))


def check(root: Path, policy: Policy | None = None, **options: Any) -> Report:
    asked = {"any_program": True, **options}
    return verify(root, SOURCE, policy=policy or AllSegments(), nonce=tiny.NONCE, **asked)


def test_proof_of_another_backend_is_accepted(forger: Forger) -> None:
    report = check(abroad(forger, SOURCE))
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert report.self_test is not None
    assert report.self_test.mismatch is not None
    assert [(each.start, each.stop, each.segments, each.outcome) for each in report.compared] == [
        (0, 6, (0,), Outcome.PASSED),
        (6, 12, (1,), Outcome.PASSED),
    ]
    for each in report.compared:
        assert each.error is not None
        allowed = each.allowed()
        assert allowed is not None
        assert 0 < each.error <= allowed
    assert [stage.outcome for stage in report.stages] == [Outcome.PASSED] * 9
    assert report.coverage is not None
    assert (report.coverage.replayed, report.coverage.steps_replayed, report.coverage.detection) == ((0, 1), 12, 1.0)


def test_false_state_of_another_backend_is_rejected(forger: Forger) -> None:
    abroad(forger, SOURCE)
    last = [leaf + leaf.dtype.type(0.5) if leaf.ndim == 2 else leaf for leaf in forger.states[12]]
    forger.set_state(12, last)
    forger.write()
    report = check(forger.root)
    refused(report, 9, "steps 7 to 12 are not what this machine gives")
    assert [each.outcome for each in report.compared] == [Outcome.PASSED, Outcome.FAILED]


def test_only_what_was_compared_is_covered(forger: Forger) -> None:
    report = check(abroad(forger, SOURCE), ListedSegments((1,)))
    assert report.verdict is Verdict.ACCEPTED
    assert report.coverage is not None
    assert (report.coverage.replayed, report.coverage.steps_replayed, report.coverage.detection) == ((1,), 6, 0.0)


def test_thinned_proof_is_compared_from_checkpoint_to_checkpoint(forger: Forger) -> None:
    abroad(forger, SOURCE)
    shutil.rmtree(forger.root / "checkpoints" / f"{6:010d}")
    del forger.states[6]
    forger.write()
    report = check(forger.root, ListedSegments((0,)))
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert [(each.start, each.stop, each.segments) for each in report.compared] == [(0, 12, (0,))]


def test_other_records_are_noticed_while_comparing(forger: Forger) -> None:
    abroad(forger, SOURCE)
    report = verify(forger.root, Arrays(tiny.points(seed=2)), policy=ListedSegments((1,)), nonce=tiny.NONCE)
    undecided(report, "record", "is not the committed one")


def chaotic(steps: int = 60) -> Task:
    """The logistic map: what the first step rounds, the sixtieth has everywhere."""

    def init(key: Key) -> PyTree:
        return {"x": jax.random.uniform(key, (64,), minval=0.1, maxval=0.9)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        x = state["x"]
        moved = 3.9 * x * (1 - x) + 1e-6 * jnp.sin(batch["x"].sum()) + 0 * jnp.exp(-x / 3).sum() / x.size
        return {"x": moved}, {"loss": moved.mean()}

    return Task("chaotic", init, step, SOURCE, batch_size=4, steps=steps, interval=steps)


def test_chaos_is_neither_accepted_nor_rejected(tmp_path: Path) -> None:
    """A true start of the last digits: where errors grow by themselves, no state is called false, and none true."""
    root = tmp_path / "proof"
    train(chaotic(), root, choices=Choices(seed="chaos"))
    forger = Forger(root)
    x = forger.states[0][0]
    forger.train_on(
        SOURCE, 0, 60, [np.nextafter(x, np.float32(2))]
    )  # as a backend that rounds the first step differently
    forger.set_state(0, [x])
    forger.write()
    report = check(root)
    undecided(report, "steps 1 to 60 can't be judged here")
    assert any("ask for an opening" in reason for reason in report.reasons)


def test_nothing_is_accepted_where_tolerances_may_add_up_to_much(forger: Forger) -> None:
    root = abroad(forger, SOURCE)
    report = check(root, d_ref=1e-9)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "tolerances add up to" in report.reasons[0]
    assert report.drift is not None
    assert report.drift.d_ref == 1e-9


def test_bits_need_no_tolerance(linen_proof: Path) -> None:
    report = check(linen_proof, d_ref=1e-9)
    assert report.verdict is Verdict.ACCEPTED
    assert report.drift is not None
    assert (report.drift.tolerated, report.drift.unchecked, report.drift.updates) == (0.0, 0.0, 2)


def test_records_of_a_comparison_are_the_committed_ones(forger: Forger) -> None:
    """Where the self-test leaves no hope nothing else is replayed, and a comparison has to look itself."""
    abroad(forger, SOURCE)
    forger.write(environment=msgspec.structs.replace(forger.claim.environment, device_kind="abacus"))
    early = {int(index) for row in forger.rows[1:7] for index in row.indices}
    late = next(int(index) for row in forger.rows[7:] for index in row.indices if int(index) not in early)
    points = {name: leaf.copy() for name, leaf in tiny.points().items()}
    points["x"][late] += 1
    report = verify(forger.root, Arrays(points), policy=ListedSegments((1,)), nonce=tiny.NONCE)
    assert report.replays == ()
    undecided(report, f"record {late} of the source is not the committed one")
