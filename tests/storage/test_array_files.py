"""Checkpoints whose arrays would unpack to more than they are, or that lead elsewhere, are refused unread."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorstore as ts
from damage import check
from forge import refused, take_stock

from pol_jax.errors import ProofError
from pol_jax.storage.array_files import check_checkpoint_files
from pol_jax.storage.checkpoint_names import checkpoint_name

ZSTD = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}


def rewritten(root: Path, change: Callable[[Any], None]) -> Path:
    """A proof whose first checkpoint notes something else about the array of the weights."""
    state = root / checkpoint_name(0) / "state"
    store = ts.KvStore.open({"driver": "ocdbt", "base": {"driver": "file", "path": f"{state}/"}}).result()
    document = json.loads(store.read("params.w/zarr.json").result().value)
    change(document)
    store.write("params.w/zarr.json", json.dumps(document).encode()).result()
    take_stock(root)
    return root


def larger_chunk(document: Any) -> None:
    document["chunk_grid"]["configuration"]["chunk_shape"] = [2**15, 2**15]
    document["codecs"] = [{"name": "bytes", "configuration": {"endian": "little"}}, ZSTD]


def compressed(document: Any) -> None:
    document["codecs"] = [{"name": "bytes", "configuration": {"endian": "little"}}, ZSTD]


def compressed_inside(document: Any) -> None:
    document["codecs"][0]["configuration"]["codecs"].append(ZSTD)


@pytest.mark.parametrize("change", [larger_chunk, compressed, compressed_inside])
def test_array_of_another_form(proof_copy: Path, change: Callable[[Any], None]) -> None:
    report = check(rewritten(proof_copy, change))
    refused(report, 6, checkpoint_name(0), "array params.w has another form")


def test_array_that_is_no_document(proof_copy: Path) -> None:
    refused(check(rewritten(proof_copy, dict.clear)), 6, checkpoint_name(0), "is damaged")


def test_another_store_beside_the_state(proof_copy: Path) -> None:
    (proof_copy / checkpoint_name(0) / "pytree").mkdir()
    (proof_copy / checkpoint_name(0) / "pytree" / "_METADATA").write_bytes(b"{}")
    take_stock(proof_copy)
    refused(check(proof_copy), 6, checkpoint_name(0), "pytree/_METADATA has no place")


def test_files_far_larger_than_the_state(proof_copy: Path) -> None:
    path = proof_copy / checkpoint_name(0)
    os.truncate(next((path / "state" / "d").iterdir()), 2**40)  # sparse: takes no space
    with pytest.raises(ProofError, match="far more than its state"):
        check_checkpoint_files("checkpoint", path, 1000, 5)


@pytest.mark.parametrize(
    "name", ["state/d/more/extra", "state/ocdbt.process_0/extra", "state/extra", "state/_sharding"]
)
def test_file_that_no_checkpoint_has(proof_copy: Path, name: str) -> None:
    path = proof_copy / checkpoint_name(0)
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_bytes(b"x")
    with pytest.raises(ProofError, match=f"{name} has no place"):
        check_checkpoint_files("checkpoint", path, 10**6, 5)


def test_marker_that_is_missing_or_says_something(proof_copy: Path) -> None:
    path = proof_copy / checkpoint_name(0)
    (path / "orbax.checkpoint").write_bytes(b"x")
    with pytest.raises(ProofError, match=r"orbax\.checkpoint has 1 bytes, expected an empty file"):
        check_checkpoint_files("checkpoint", path, 10**6, 5)
    (path / "orbax.checkpoint").unlink()
    with pytest.raises(ProofError, match=r"orbax\.checkpoint is missing"):
        check_checkpoint_files("checkpoint", path, 10**6, 5)


def test_manifest_that_may_unpack_to_much(proof_copy: Path) -> None:
    path = proof_copy / checkpoint_name(0)
    with (path / "state" / "manifest.ocdbt").open("ab") as file:
        file.write(bytes(2**13))
    with pytest.raises(ProofError, match="its manifest has more than"):
        check_checkpoint_files("checkpoint", path, 1000, 5)


@pytest.mark.parametrize("key", ["../outside", "d/../../outside", "/outside"])
def test_no_reference_leads_out_of_a_directory(tmp_path: Path, key: str) -> None:
    """References in an OCDBT store are names of files under its directory, which tensorstore's file driver checks."""
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "store").mkdir()
    store = ts.KvStore.open({"driver": "file", "path": f"{tmp_path}/store/"}).result()
    with pytest.raises(ValueError, match="Invalid key"):
        store.read(key).result()
