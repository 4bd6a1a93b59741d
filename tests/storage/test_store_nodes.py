"""An OCDBT store whose index unpacks to far more than it is, as tensorstore itself writes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tensorstore as ts
from damage import check
from forge import refused, take_stock

from pol_jax.errors import ProofError
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
    begun = ts.Transaction()
    for at in range(count):
        store.with_transaction(begun)[f"value {at}"] = bytes(2**20)
    begun.commit_async().result()


def test_an_index_that_unpacks_to_much_is_refused_unread(tmp_path: Path) -> None:
    bomb(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 2**14
    with pytest.raises(ProofError, match="its index unpacks to more than 4194304 bytes"):
        check_nodes("a checkpoint", tmp_path, SMALL_STATE)
    check_nodes("a checkpoint", tmp_path, 2**26)


def test_a_node_is_found_wherever_it_lies(tmp_path: Path) -> None:
    """A reference names a file, a place and a length: other files of the store may hold a node too."""
    bomb(tmp_path / "made")
    (node,) = (tmp_path / "made" / "d").iterdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "_METADATA").write_bytes(b"x" * 1001 + node.read_bytes())
    with pytest.raises(ProofError, match="its index unpacks"):
        check_nodes("a checkpoint", tmp_path / "store", SMALL_STATE)


def test_a_number_written_in_more_bytes_hides_no_node(tmp_path: Path) -> None:
    bomb(tmp_path)
    (path,) = (tmp_path / "d").iterdir()
    node = path.read_bytes()
    assert node[12:14] == b"\0\1"
    path.write_bytes(node[:12] + b"\x80\0\x81\0" + node[14:])
    with pytest.raises(ProofError, match="its index"):
        check_nodes("a checkpoint", tmp_path, SMALL_STATE)


def test_a_node_that_cannot_be_unpacked_here_is_refused(tmp_path: Path) -> None:
    bomb(tmp_path)
    (path,) = (tmp_path / "d").iterdir()
    node = bytearray(path.read_bytes())
    node[18] ^= 0x08  # a bit of zstd's header that must be 0
    path.write_bytes(node)
    with pytest.raises(ProofError, match="a part of its index can't be unpacked"):
        check_nodes("a checkpoint", tmp_path, SMALL_STATE)


def test_a_proof_with_such_an_index_is_rejected(proof_copy: Path, tmp_path: Path) -> None:
    bomb(tmp_path)
    (node,) = (tmp_path / "d").iterdir()
    shutil.copy(node, proof_copy / checkpoint_name(0) / "state" / "d" / "more")
    take_stock(proof_copy)
    refused(check(proof_copy), 6, checkpoint_name(0), "its index unpacks")


def crc32c(content: bytes) -> bytes:
    """The checksum at the end of a manifest or node (Castagnoli)."""
    found = 0xFFFFFFFF
    for byte in content:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 if found & 1 else 0)
    return (found ^ 0xFFFFFFFF).to_bytes(4, "little")


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
    return bytes(store_at(folder).read("name").result().value)


def redirect(path: Path, own: str, other: str) -> None:
    """Let a manifest that is not compressed name another file, with a right length and checksum."""
    manifest = path.read_bytes()[:-4]
    before, after = (bytes([len(name)]) + b"\0\0" + name.encode() for name in (own, other))
    assert len(other) < 128
    assert manifest.count(before) == 1
    manifest = manifest.replace(before, after)
    manifest = manifest[:4] + (len(manifest) + 4).to_bytes(8, "little") + manifest[12:]
    path.write_bytes(manifest + crc32c(manifest))
