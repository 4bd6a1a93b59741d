"""Checkpoints are plain Orbax."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny
from orbax.checkpoint import v1 as ocp
from unsandboxed import verify

import pol_jax
from pol_jax.errors import UsageError
from pol_jax.protocol.policies import AllSegments
from pol_jax.protocol.trees import LeafSpec
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage import orbax_settings
from pol_jax.storage.checkpoints import load_checkpoint, save_checkpoint


def test_checkpoints_are_plain_orbax(plain_proof: Path) -> None:
    """No class of ours, no target: what a user without this package sees."""
    found = ocp.load(plain_proof.absolute() / f"checkpoints/{tiny.STEPS:010d}")
    state = pol_jax.open_proof(plain_proof).final_state()
    assert set(found) == {"params", "momentum", "count", "key"}  # Orbax stores no empty arrays
    np.testing.assert_array_equal(found["params"]["w"], state["params"]["w"])
    np.testing.assert_array_equal(found["key"], jax.random.key_data(state["key"]))


@pytest.mark.parametrize(
    ("name", "words"),
    [("a[b]", "has a bracket"), ("a\\b", "has a backslash"), ("a\udcffb", "is no UTF-8")],
)
def test_a_path_that_orbax_takes_for_a_pattern(name: str, words: str, plain_proof: Path, tmp_path: Path) -> None:
    """What is trained there could not be read back, and an honest proof that was copied there would be rejected."""
    root = tmp_path / name
    with pytest.raises(UsageError, match=words):
        pol_jax.train(tiny.plain(), root / "proof", steps=2)
    assert not root.exists()
    shutil.copytree(plain_proof, root / "proof")
    with pytest.raises(UsageError, match=words):
        verify(root / "proof", tiny.plain().source, policy=AllSegments(), nonce=b"n")
    with pytest.raises(UsageError, match=words):
        pol_jax.open_proof(root / "proof").final_state()


@pytest.mark.parametrize("name", ["a*b", "a?b", "a b", "ü", "a#b", "{x}", "~", "a\nb", "s3:", "x.orbax-checkpoint-tmp"])
def test_other_paths_are_read(name: str, plain_proof: Path, tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    root = Path(shutil.copytree(plain_proof, tmp_path / name))
    assert pol_jax.open_proof(root).leaves(6)


def test_an_orbax_that_was_not_tested_leaves_the_verdict_open(
    plain_proof: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds an honest checkpoint damaged, which would be a rejection."""
    monkeypatch.setattr(orbax_settings, "version", lambda _: "0.11.36")
    report = verify(plain_proof, tiny.plain().source, policy=AllSegments())
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "orbax-checkpoint 0.11.36 is installed, expected 0.12.*" in report.reasons[-1]


def test_arrays_of_the_host_are_not_copied_to_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large state would be in memory once more."""
    copied, copy_of = list[int](), copy.deepcopy

    def noted(value: object, memo: dict[int, object] | None = None) -> object:
        copied.extend([value.nbytes] if isinstance(value, np.ndarray) else [])
        return copy_of(value, memo)

    monkeypatch.setattr(copy, "deepcopy", noted)
    leaves = [np.arange(12, dtype=np.float32), np.ones((2, 3), np.float32)]
    spec = tuple(LeafSpec(f"/{at}", "float32", leaf.shape, (1,) * leaf.ndim, None) for at, leaf in enumerate(leaves))
    save_checkpoint(tmp_path, 0, spec, leaves)
    assert copied == []
    assert all(map(np.array_equal, load_checkpoint(tmp_path, 0, spec), leaves))
