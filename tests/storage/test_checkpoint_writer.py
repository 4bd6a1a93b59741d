"""Checkpoints after the first are written in one go, and nobody can tell them from those that Orbax writes."""

from __future__ import annotations

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import tensorstore as ts
from orbax.checkpoint import v1 as ocp

from pol_jax.errors import StorageError
from pol_jax.protocol.trees import DTYPES, LeafSpec, StateSpec
from pol_jax.storage import checkpoint_writer
from pol_jax.storage.checkpoint_writer import CheckpointWriter
from pol_jax.storage.checkpoints import load_checkpoint, remove_unfinished, save_checkpoint

SPEC: StateSpec = (
    *(LeafSpec(f"/every/{name}", name, (2, 3), (1, 1), None) for name in DTYPES),
    LeafSpec("/a.b~1c", "float32", (), (), None),
    LeafSpec("/empty", "float32", (0, 4), (1, 1), None),
)


def state_of(seed: int) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 2, leaf.shape).astype(DTYPES[leaf.dtype]) for leaf in SPEC]


def stored(path: Path) -> dict[bytes, bytes]:
    store = ts.KvStore.open({"driver": "ocdbt", "base": f"file://{path / 'state'}/"}).result()
    return {key: store[key] for key in store.list().result()}


def notes(path: Path) -> tuple[object, object]:
    checkpoint = json.loads((path / "_CHECKPOINT_METADATA").read_bytes())
    times = checkpoint.pop("init_timestamp_nsecs"), checkpoint.pop("commit_timestamp_nsecs")
    assert times[0] <= times[1]
    return checkpoint, json.loads((path / "state/_METADATA").read_bytes())


@pytest.fixture
def writer(tmp_path: Path) -> CheckpointWriter:
    """It has written the first checkpoint, by Orbax."""
    writer = CheckpointWriter(tmp_path, SPEC)
    writer.save(0, state_of(0))
    return writer


@pytest.mark.usefixtures("in_orbax")
def test_later_checkpoints_are_as_orbax_writes_them(tmp_path: Path, writer: CheckpointWriter) -> None:
    writer.save(6, state_of(6))
    (tmp_path / "orbax").mkdir()
    save_checkpoint(tmp_path / "orbax", 6, SPEC, state_of(6))
    ours, theirs = tmp_path / "checkpoints/0000000006", tmp_path / "orbax/checkpoints/0000000006"
    assert stored(ours) == stored(theirs)
    assert notes(ours) == notes(theirs)
    assert sorted(file.name for file in ours.iterdir()) == sorted(file.name for file in theirs.iterdir())
    assert len(list((ours / "state").rglob("d/*"))) == 1
    found = load_checkpoint(tmp_path, 6, SPEC)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(found, state_of(6), strict=True))
    assert set(ocp.load(ours)["every"]) == set(DTYPES)


def test_what_an_interrupted_run_left_is_replaced(tmp_path: Path, writer: CheckpointWriter) -> None:
    writer.save(6, state_of(5))
    (tmp_path / "checkpoints/0000000006.unfinished/state").mkdir(parents=True)
    writer.save(6, state_of(6))
    assert load_checkpoint(tmp_path, 6, SPEC)[0].tobytes() == state_of(6)[0].tobytes()
    (tmp_path / "checkpoints/0000000012.unfinished/state").mkdir(parents=True)
    remove_unfinished(tmp_path)
    assert sorted(each.name for each in (tmp_path / "checkpoints").iterdir()) == ["0000000000", "0000000006"]


def test_arrays_of_devices_are_for_orbax(
    tmp_path: Path, writer: CheckpointWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = list[int]()
    monkeypatch.setattr(checkpoint_writer, "save_checkpoint", lambda _root, step, *_: saved.append(step))
    writer.save(6, [jnp.array(leaf) for leaf in state_of(6)])
    assert saved == [6]


def test_a_disk_that_can_not_be_written_to(tmp_path: Path, writer: CheckpointWriter) -> None:
    (tmp_path / "checkpoints/0000000006.unfinished").write_text("no directory")
    with pytest.raises(StorageError, match="checkpoints/0000000006: checkpoint can't be written"):
        writer.save(6, state_of(6))
