"""Choosing the leaves that a run takes over, and going on with such a run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import tiny
from fine_tuned import INTERVAL, STEPS, TAKEN, WEIGHTS, digest, leaves
from forge import Forger
from orbax.checkpoint import v1 as ocp

from pol_jax.errors import UsageError
from pol_jax.progress import Silent
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import write_commitment
from pol_jax.proving.fine_tuning import Start, choose_leaves
from pol_jax.proving.recording import Recording
from pol_jax.proving.train import train
from pol_jax.storage.foreign_weights import load_weights
from pol_jax.storage.proof import open_proof

# --- from an earlier proof ---------------------------------------------------------------------------------------


def test_leaves_of_an_earlier_proof_are_taken_over_and_the_others_are_not(chain: Path) -> None:
    base, child = leaves(chain / "base", 24), leaves(chain / "child", 0)
    for path in TAKEN:
        np.testing.assert_array_equal(child[path], base[path])
    for path in ("/count", "/key", "/momentum"):
        assert not np.array_equal(child[path], base[path]), path
    assert open_proof(chain / "grandchild").commitment.initial.leaves == ("/count", "/momentum", "/nothing", *TAKEN)


def test_weights_of_any_orbax_checkpoint(chain: Path, tmp_path: Path) -> None:
    ocp.save(tmp_path / "elsewhere", {"params": {**WEIGHTS["params"], "b.ias": np.zeros(2)}, "list": [np.ones(1)]})
    loaded = load_weights(tmp_path / "elsewhere")
    np.testing.assert_array_equal(loaded["params"]["w"], WEIGHTS["params"]["w"])
    assert loaded["params"]["b.ias"].shape == (2,)
    own = load_weights(chain / "base" / "checkpoints" / "0000000024")
    np.testing.assert_array_equal(own["params"]["w"], leaves(chain / "base", 24)["/params/w"])
    with pytest.raises(UsageError, match="no checkpoint that Orbax can read"):
        load_weights(tmp_path)


# --- choosing, and going on --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "take", "words"),
    [
        (WEIGHTS, "/prams", "the state has no leaf there"),
        (WEIGHTS, "params", "the state has no leaf there"),
        (WEIGHTS, "/par", "the state has no leaf there"),
        (WEIGHTS, "/params/b", "the source has no /params/b; it has /params/w"),
        ({"params": {"w": np.zeros((16, 4), np.float32)}}, "/params", r"float32\[16, 3\], and float32\[16, 4\] in the"),
        ({"params": {"w": np.zeros((16, 3))}}, "", "and float64"),
        ({"key": jax.random.key(0)}, "/key", "it has no arrays"),
        ({"key": np.zeros(2, np.uint32)}, "/key", "nothing to take at /key"),
        ({}, "", "nothing to take at /"),
    ],
)
def test_a_start_that_takes_over_no_leaf_is_refused(source: Any, take: str, words: str, plain_proof: Path) -> None:
    with pytest.raises(UsageError, match=words):
        choose_leaves(Start(source, (take,)), open_proof(plain_proof).commitment.state)


@pytest.mark.parametrize(
    ("source", "take"),
    [
        ({"model": {"weights": WEIGHTS["params"]}}, ("/model/weights=/params",)),
        ({"params": {"w": {"value": WEIGHTS["params"]["w"]}}}, ("/params/w",)),
        ({"w": WEIGHTS["params"]["w"]}, ("/w=/params/w",)),
        (WEIGHTS["params"], ("=/params",)),
        (WEIGHTS["params"], ("/=/params/",)),
    ],
)
def test_leaves_may_have_another_name_in_the_source(source: Any, take: tuple[str, ...], plain_proof: Path) -> None:
    state = open_proof(plain_proof).commitment.state
    initial, (leaf,) = choose_leaves(Start(source, take), state)
    assert initial.leaves == ("/params/w",)
    np.testing.assert_array_equal(leaf, WEIGHTS["params"]["w"])


def test_a_name_that_the_source_does_not_have(plain_proof: Path) -> None:
    state = open_proof(plain_proof).commitment.state
    with pytest.raises(UsageError, match=r"the source has no /model/b; it has /params/w"):
        choose_leaves(Start(WEIGHTS, ("/model=/params",)), state)


def test_leaves_of_other_shapes_come_from_the_key(plain_proof: Path) -> None:
    """A new head: what the source has there does not fit, or is not there."""
    proof = open_proof(plain_proof)
    source = {"params": {**WEIGHTS["params"], "b": np.zeros(5, np.float32)}, "momentum": np.zeros(3)}
    initial, taken = choose_leaves(Start(source), proof.commitment.state)
    assert initial.leaves == ("/params/w",)
    np.testing.assert_array_equal(taken[0], WEIGHTS["params"]["w"])
    assert choose_leaves(Start(proof), proof.commitment.state)[0].leaves == ("/count", "/momentum", "/nothing", *TAKEN)


def test_a_damaged_or_unfinished_proof_is_no_start(plain_proof: Path, tmp_path: Path) -> None:
    state = open_proof(plain_proof).commitment.state
    forger = Forger(Path(shutil.copytree(plain_proof, tmp_path / "damaged")))
    forger.states[24] = forger.perturbed(24)
    forger.write()
    with pytest.raises(UsageError, match="its final state is not the claimed one"):
        choose_leaves(Start(open_proof(forger.root)), state)
    (forger.root / "claim.json").unlink()
    with pytest.raises(UsageError, match="the run is not finished"):
        choose_leaves(Start(open_proof(forger.root)), state)


def test_an_interrupted_run_goes_on_without_its_start(chain: Path, tmp_path: Path) -> None:
    choices = Choices(interval=INTERVAL, seed="child", start=Start(open_proof(chain / "base"), ("/params",)))
    with Recording(tiny.plain(), tmp_path / "run", steps=STEPS, choices=choices) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == 3:
                break
    other = Choices(start=Start(WEIGHTS))
    with pytest.raises(UsageError, match="start: this run is committed to another one"):
        train(tiny.plain(), tmp_path / "run", choices=other)
    train(tiny.plain(), tmp_path / "run")
    assert digest(tmp_path / "run") == digest(chain / "child")
    train(tiny.plain(), tmp_path / "run", choices=choices)  # finished, and the same


def test_a_run_killed_before_its_first_checkpoint_needs_its_start_again(chain: Path, tmp_path: Path) -> None:
    choices = Choices(interval=INTERVAL, seed="child", start=Start(open_proof(chain / "base"), ("/params",)))
    (tmp_path / "run").mkdir()
    write_commitment(tmp_path / "run", tiny.plain(), choices, Silent(), steps=STEPS)
    with pytest.raises(UsageError, match="give the same start again"):
        train(tiny.plain(), tmp_path / "run", steps=STEPS)
    train(tiny.plain(), tmp_path / "run", steps=STEPS, choices=choices)
    assert digest(tmp_path / "run") == digest(chain / "child")


def test_a_plain_run_takes_no_start_later(plain_proof: Path) -> None:
    with pytest.raises(UsageError, match="start: this run is committed to another one"):
        train(tiny.plain(), plain_proof, choices=Choices(start=Start(WEIGHTS)))
