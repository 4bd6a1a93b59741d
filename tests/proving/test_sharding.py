"""States on several devices: committed, digested and saved shard by shard, verified with and without such devices."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np
import pytest
import tensorstore as ts
from damage import check
from forge import Forger, refused, take_stock
from jax.sharding import AbstractMesh, PartitionSpec
from sharded import STEPS, records, shardings, task, trained

import pol_jax
from pol_jax.errors import UsageError
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.mesh import Mesh, MeshAxis
from pol_jax.proving import preparation
from pol_jax.proving.choices import PRNG
from pol_jax.proving.recording import Recording
from pol_jax.proving.sharding import check_devices, committed_mesh
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.sandbox.virtual_devices import needs_gloo
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.proof import open_proof
from pol_jax.training.export import structure_of
from pol_jax.training.states import Layout

TASK = task()
DEVICES = AbstractMesh((2, 2), ("data", "model"))
ONE = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
WHOLE = PartitionSpec()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any]]]:
    """What one process with four devices did, one case after the other, and how each ended."""
    root = tmp_path_factory.mktemp("sharded")
    cases: dict[str, dict[str, Any]] = {"plain": {}, "exact": {"arithmetic": "exact"}, "flipped": {"flipped": [2]}}
    ends = trained(1, 4, *({"out": root / name, **case} for name, case in cases.items()), gloo=False)
    return {name: (root / name, end) for name, (end,) in zip(cases, ends, strict=True)}


@pytest.fixture(scope="module")
def proof(made: dict[str, tuple[Path, dict[str, Any]]]) -> Path:
    """A proof made by one process with four devices."""
    out, ended = made["plain"]
    assert ended["step"] == STEPS, ended
    return out


def test_the_commitment_says_how_arrays_are_cut(proof: Path) -> None:
    commitment = open_proof(proof).commitment
    assert str(commitment.mesh) == "data=2, model=2"
    assert commitment.mesh is not None
    assert commitment.mesh.batch == ("data",)
    pieces = {leaf.path: leaf.pieces for leaf in commitment.state}
    assert pieces["/params/w1"] == (2, 2)
    assert pieces["/params/b"] == (1,)
    assert pieces["/keys"] == (2, 1)  # typed keys are cut like their array; their words are not


def test_digests_of_shards_are_those_of_the_whole_state(proof: Path) -> None:
    opened = open_proof(proof)
    for step in opened.checkpoints():
        assert Layout(opened.commitment.state).gather(opened.host_leaves(step)).digest() == opened.row(step).state


def test_checkpoints_are_saved_shard_by_shard(proof: Path) -> None:
    document = json.loads(store_of(proof).read("params.w1/zarr.json").result().value)
    assert document["chunk_grid"]["configuration"]["chunk_shape"] == [8, 16]


def test_verified_bit_for_bit_on_as_many_virtual_devices(proof: Path) -> None:
    """This process has one device; the one that verifies takes four."""
    report = pol_jax.verify(proof, records(), policy=pol_jax.AllSegments(), trusted=TASK)
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.BITS)
    assert report.environment.device_count == 4
    assert "committed to arrays cut over 4 devices (data=2, model=2)" in report.stages[2].detail


@pytest.mark.usefixtures("in_process")
def test_judged_within_a_tolerance_on_one_device(proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    report = pol_jax.verify(proof, records(), policy=pol_jax.ListedSegments((1,)), any_program=True)
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.TOLERANCE)
    strict = pol_jax.verify(proof, records(), policy=pol_jax.ListedSegments((1,)), exact=True)
    assert strict.verdict is Verdict.INCONCLUSIVE


@pytest.mark.usefixtures("in_process")
def test_exact_programs_have_the_same_bits_on_one_device(
    made: dict[str, tuple[Path, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, ended = made["exact"]
    assert ended["step"] == STEPS, ended
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    report = pol_jax.verify(out, records(), policy=pol_jax.AllSegments(), exact=True)
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.BITS)


def test_a_device_with_other_bits_than_the_rest_is_named(made: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    _, ended = made["flipped"]
    assert ended["error"].startswith("DivergenceError: leaf /params/b: ")
    assert re.search("(cpu:|CPU_)2 has other bits than", ended["error"]), ended


def test_a_run_that_lies_about_its_mesh_has_other_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the mesh that it names, not one step is reproduced: then bits decide nothing (section 13.1, reason 3)."""
    said = committed_mesh(DEVICES, shardings(TASK), structure_of(TASK, PRNG), TASK.batch_size)
    monkeypatch.setattr(preparation, "committed_mesh", lambda *_: said)
    monkeypatch.setattr(preparation, "place_on", lambda *_: None)
    monkeypatch.setattr(preparation, "agree_on_placement", lambda *_: None)
    train(TASK, tmp_path, mesh=ONE, shardings=(WHOLE, WHOLE))
    report = pol_jax.verify(tmp_path, records(), policy=pol_jax.AllSegments(), trusted=TASK, exact=True)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.environment.device_count == 4
    assert all(replay.mismatch is not None for replay in report.replays)


def store_of(root: Path) -> Any:
    state = root / checkpoint_name(0) / "state"
    return ts.KvStore.open({"driver": "ocdbt", "base": {"driver": "file", "path": f"{state}/"}}).result()


@pytest.mark.parametrize("chunk", [[4, 16], [8, 4], [1, 1]])
def test_chunks_of_other_than_whole_pieces_are_refused(chunk: Any, proof: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(proof, tmp_path / "proof"))
    store = store_of(root)
    document = json.loads(store.read("params.w1/zarr.json").result().value)
    document["chunk_grid"]["configuration"]["chunk_shape"] = chunk
    document["codecs"][0]["configuration"]["chunk_shape"] = chunk
    store.write("params.w1/zarr.json", json.dumps(document).encode()).result()
    take_stock(root)
    refused(check(root), 6, checkpoint_name(0), "array params.w1 has another form")


def rewritten(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the commitment, and what names it."""
    forger = Forger(root)
    document = json.loads(forger.commitment.encode())
    change(document)
    forger.commitment = msgspec.json.decode(json.dumps(document), type=Commitment)
    forger.write(commitment=forger.commitment.digest().hex())


def _fewer_pieces(document: dict[str, Any]) -> None:
    document["state"][-1]["pieces"] = [1, 1]


def _other_axis(document: dict[str, Any]) -> None:
    document["mesh"]["batch"] = ["rows"]


def _larger_mesh(document: dict[str, Any]) -> None:
    document["mesh"]["axes"][0]["size"] = 16


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_fewer_pieces, "1 pieces of an axis don't fall into 2 equal parts"),
        (_other_axis, "batch: got ['rows']"),
        (_larger_mesh, "2 pieces of an axis don't fall into 16 equal parts"),
    ],
)
def test_meshes_that_fit_nothing_are_refused(
    change: Callable[[dict[str, Any]], None], words: str, proof: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(proof, tmp_path / "proof"))
    rewritten(root, change)
    refused(check(root), 3, "commitment.json", words)


@pytest.mark.parametrize(
    ("state", "batch", "words"),
    [
        (PartitionSpec("rows"), WHOLE, "'rows' is no axis of the mesh"),
        (PartitionSpec("data", None, "model"), WHOLE, "cuts 3 axes, and there are"),
        ({"params": WHOLE}, WHOLE, "are no prefix"),
        (None, WHOLE, "expected a PartitionSpec"),
        (WHOLE, PartitionSpec("data", "model"), "the batch: .* cuts 2 axes"),
    ],
)
def test_wrong_shardings_are_refused(state: Any, batch: PartitionSpec, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        committed_mesh(DEVICES, (state, batch), structure_of(TASK, PRNG), TASK.batch_size)


def test_axes_that_are_not_divided_are_refused() -> None:
    devices = AbstractMesh((3,), ("data",))
    cut = {"params": {"w1": PartitionSpec(None, "data"), "w2": WHOLE, "b": WHOLE}, "optimizer": WHOLE, "keys": WHOLE}
    with pytest.raises(UsageError, match="/params/w1: an axis of 32 is cut into 3 parts"):
        committed_mesh(devices, (cut, WHOLE), structure_of(TASK, PRNG), TASK.batch_size)
    with pytest.raises(UsageError, match="batches of 8 records don't fall into 3 parts"):
        committed_mesh(devices, (WHOLE, PartitionSpec("data")), structure_of(TASK, PRNG), TASK.batch_size)


@pytest.mark.parametrize("name", ["data\n", "\x00", "größe"])
def test_axes_whose_names_end_processes_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="has signs that XLA can't read; use printable ASCII"):
        committed_mesh(AbstractMesh((2,), (name,)), (WHOLE, WHOLE), structure_of(TASK, PRNG), TASK.batch_size)
    assert str(Mesh((MeshAxis(name, 2),), (), ())).isprintable()  # a prover's may have such a name all the same


def test_a_mesh_without_shardings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected both or none"):
        Recording(TASK, tmp_path / "proof", mesh=ONE)
    with pytest.raises(UsageError, match="expected \\(those of the state"):
        check_devices(ONE, WHOLE)
    assert not (tmp_path / "proof").exists()


def test_a_run_goes_on_with_its_own_shardings_alone(proof: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(proof, tmp_path / "proof"))
    with pytest.raises(UsageError, match=r"committed to the mesh data=2, model=2, and the given one is data=1"):
        train(TASK, copied, mesh=ONE, shardings=(WHOLE, WHOLE))


@pytest.mark.parametrize("address", ["gs://bucket/run", "s3://bucket/run", "gs:/bucket"])
def test_addresses_of_object_stores_are_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is an address"):
        train(TASK, address)
    assert not list(tmp_path.iterdir())


def test_a_claim_without_an_end_is_not_waited_for(tmp_path: Path) -> None:
    """The caller looks for gloo before anything is checked: a pipe in the claim's place would never end."""
    os.mkfifo(tmp_path / "claim.json")
    assert not needs_gloo(tmp_path / "claim.json")
    assert not needs_gloo(tmp_path / "none")
