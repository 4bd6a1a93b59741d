"""An OCDBT store whose index unpacks to far more than it is, as tensorstore itself writes it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import tensorstore as ts
from damage import check
from forge import refused, take_stock

from pol_jax.errors import ProofError
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.store_nodes import check_nodes

SMALL_STATE = 2**22
"""Bytes that the index of a small state may unpack to."""


def store_at(folder: Path, **config: object) -> ts.KvStore:
    base = {"driver": "file", "path": f"{folder}/"}
    return ts.KvStore.open({"driver": "ocdbt", "base": base, **({"config": config} if config else {})}).result()


def bomb(folder: Path, count: int = 40) -> None:
    """Write so many values of 1 MiB of zeros into one node of the index."""
    store = store_at(folder, max_inline_value_bytes=2**20, max_decoded_node_bytes=2**32 - 1)
    begun = ts.Transaction(atomic=True)
    for at in range(count):
        store.with_transaction(begun)[f"value {at}"] = bytes(2**20)
    begun.commit_async().result()


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def rewritten(state: Path, more: int = 0) -> Path:
    """Write the store of a checkpoint again, in one node that is not compressed, or with so many MiB of zeros more.

    Returns:
        The file of the node.
    """
    old = store_at(state)
    values = {key: old.read(key).result().value for key in old.list().result()}
    shutil.rmtree(state / "d")
    (state / "manifest.ocdbt").unlink()
    sizes = {"max_inline_value_bytes": 2**20, "max_decoded_node_bytes": 2**32 - 1} if more else {"compression": None}
    store, begun = store_at(state, **({"max_inline_value_bytes": 2**10} | sizes)), ts.Transaction(atomic=True)
    for key, value in values.items() | {(f"more {at}".encode(), bytes(2**20)) for at in range(more)}:
        store.with_transaction(begun)[key] = value
    begun.commit_async().result()
    (node,) = (state / "d").iterdir()
    return node


def test_an_index_that_unpacks_to_much_is_refused_unread(tmp_path: Path) -> None:
    bomb(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 2**14
    with pytest.raises(ProofError, match="its index unpacks to more than 4194304 bytes"):
        check_nodes("a checkpoint", files_in(tmp_path), SMALL_STATE)
    check_nodes("a checkpoint", files_in(tmp_path), 2**26)


def test_a_node_is_found_wherever_it_lies(tmp_path: Path) -> None:
    """A reference names a file, a place and a length: other files of the store may hold a node too."""
    bomb(tmp_path / "made")
    (node,) = (tmp_path / "made" / "d").iterdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "_METADATA").write_bytes(b"x" * 1001 + node.read_bytes())
    with pytest.raises(ProofError, match="its index unpacks"):
        check_nodes("a checkpoint", files_in(tmp_path / "store"), SMALL_STATE)


def test_a_number_written_in_more_bytes_hides_no_node(tmp_path: Path) -> None:
    bomb(tmp_path)
    (path,) = (tmp_path / "d").iterdir()
    node = path.read_bytes()
    assert node[12:14] == b"\0\1"
    path.write_bytes(node[:12] + b"\x80\0\x81\0" + node[14:])
    with pytest.raises(ProofError, match="its index"):
        check_nodes("a checkpoint", files_in(tmp_path), SMALL_STATE)


def test_a_node_that_cannot_be_unpacked_here_is_refused(tmp_path: Path) -> None:
    bomb(tmp_path)
    (path,) = (tmp_path / "d").iterdir()
    node = bytearray(path.read_bytes())
    node[18] ^= 0x08  # a bit of zstd's header that must be 0
    path.write_bytes(node)
    with pytest.raises(ProofError, match="a part of its index can't be unpacked"):
        check_nodes("a checkpoint", files_in(tmp_path), SMALL_STATE)


def test_a_proof_with_such_an_index_is_rejected(proof_copy: Path, tmp_path: Path) -> None:
    bomb(tmp_path)
    (node,) = (tmp_path / "d").iterdir()
    shutil.copy(node, proof_copy / checkpoint_name(0) / "state" / "d" / "more")
    take_stock(proof_copy)
    refused(check(proof_copy), 6, checkpoint_name(0), "its index unpacks")


def test_an_index_is_bounded_before_orbax_unpacks_it(proof_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bomb in the index that leads to the arrays: 40 MB of zeros beside them."""
    rewritten(proof_copy / checkpoint_name(0) / "state", more=40)
    take_stock(proof_copy)
    monkeypatch.setattr("orbax.checkpoint.v1.metadata", lambda *_: pytest.fail("Orbax has read it"))
    refused(check(proof_copy), 6, checkpoint_name(0), "its index unpacks to more than 4281344 bytes")


def test_orbax_looks_up_no_other_leaves(proof_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = proof_copy / checkpoint_name(0) / "state" / "_METADATA"
    content = json.loads(notes.read_bytes())
    content["tree_metadata"]["more"] = {"key_metadata": [{"key": "more", "key_type": 2}]}
    notes.write_text(json.dumps(content))
    take_stock(proof_copy)
    monkeypatch.setattr("orbax.checkpoint.v1.metadata", lambda *_: pytest.fail("Orbax has read it"))
    refused(check(proof_copy), 6, checkpoint_name(0), "has other leaves than the commitment: more")


@pytest.mark.parametrize("name", ["d/.DS_Store", "Thumbs.db"])
def test_what_lies_beside_a_proof_holds_none_of_it(name: str, proof_copy: Path) -> None:
    """No inventory lists such a file, so that a proof must be whole without it."""
    state = proof_copy / checkpoint_name(0) / "state"
    data = rewritten(state)
    take_stock(proof_copy)
    assert check(proof_copy).verdict is Verdict.ACCEPTED
    redirect(state / "manifest.ocdbt", f"d/{data.name}", name)
    data.rename(state / name)
    take_stock(proof_copy)
    assert value_at(state, "count/zarr.json"), "tensorstore itself would read it"
    refused(check(proof_copy), 6, checkpoint_name(0), "is damaged")


@pytest.mark.parametrize("name", ["d/.DS_Store", "Thumbs.db"])
def test_what_lies_beside_a_proof_is_not_read(name: str, proof_copy: Path) -> None:
    """It may have any size: this one would take hours."""
    place = proof_copy / checkpoint_name(0) / "state" / name
    place.touch()
    os.truncate(place, 2**43)
    assert check(proof_copy).verdict is Verdict.ACCEPTED


def crc32c(content: bytes) -> bytes:
    """The checksum at the end of a manifest or node (Castagnoli)."""
    found = 0xFFFFFFFF
    for byte in content:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 if found & 1 else 0)
    return (found ^ 0xFFFFFFFF).to_bytes(4, "little")


def test_a_name_that_is_not_listed_is_not_taken_for_another(proof_copy: Path) -> None:
    """Tensorstore's stack of files takes such a name for the one before it, and reads what follows on the disk."""
    state = proof_copy / checkpoint_name(0) / "state"
    data = rewritten(state)
    redirect(state / "manifest.ocdbt", f"d/{data.name}", "d/.DS_Store")
    data.rename(state / "d/.DS_Store")
    (state / "d/.DS_Stor").touch()
    take_stock(proof_copy)
    refused(check(proof_copy), 6, checkpoint_name(0), "is damaged")


@pytest.mark.parametrize("elsewhere", ["../{}", "{folder}/{}", "d/../../{}"])
def test_a_manifest_that_points_out_of_its_store(elsewhere: str, tmp_path: Path) -> None:
    """The file that a reference names lies outside, whole and with a right checksum; tensorstore reads it nowhere."""
    store = store_at(tmp_path / "store", compression=None)
    store.write("name", b"a secret").result()
    (data,) = (tmp_path / "store" / "d").iterdir()
    assert value_of(tmp_path / "store").startswith(b"a secret")
    outside = tmp_path / "outside"
    data.rename(outside)
    own, other = f"d/{data.name}", elsewhere.format(outside.name, folder=tmp_path)
    path = tmp_path / "store" / "manifest.ocdbt"
    redirect(path, own, other)
    with pytest.raises(ValueError, match="Invalid key"):
        value_of(tmp_path / "store")


def test_a_manifest_may_point_into_its_store(tmp_path: Path) -> None:
    """With the same change of the manifest: what the test before shows is not that it was damaged."""
    store = store_at(tmp_path / "store", compression=None)
    store.write("name", b"a secret").result()
    (data,) = (tmp_path / "store" / "d").iterdir()
    data.rename(tmp_path / "store" / "elsewhere")
    redirect(tmp_path / "store" / "manifest.ocdbt", f"d/{data.name}", "elsewhere")
    assert value_of(tmp_path / "store").startswith(b"a secret")


def value_of(folder: Path) -> bytes:
    return value_at(folder, "name")


def value_at(folder: Path, key: str) -> bytes:
    return bytes(store_at(folder).read(key).result().value)


def redirect(path: Path, own: str, other: str) -> None:
    """Let a manifest that is not compressed name another file, with a right length and checksum."""
    manifest = path.read_bytes()[:-4]
    before, after = (bytes([len(name)]) + b"\0\0" + name.encode() for name in (own, other))
    assert len(other) < 128
    assert manifest.count(before) == 1
    manifest = manifest.replace(before, after)
    manifest = manifest[:4] + (len(manifest) + 4).to_bytes(8, "little") + manifest[12:]
    path.write_bytes(manifest + crc32c(manifest))
