"""Npz files: no pickles, and files that lie."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from named_arrays import ARRAYS, same

from pol_jax.attesting.weights import read_weights
from pol_jax.errors import UsageError


def test_npz_is_read(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        **ARRAYS,
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
    }
    expected = {**arrays, "big": np.arange(3, dtype="<f4")}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "model.npz", **arrays)
        assert same(read_weights(tmp_path / "model.npz"), expected)


def npy(header: str, data: bytes = b"", magic: bytes = b"\x93NUMPY\x01\x00") -> bytes:
    return magic + struct.pack("<H", len(header)) + header.encode() + data


def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def other_name(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, saved(np.ones(1)))
    return stream.getvalue()


def twice() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.npy", saved(np.ones(1)))
        archive.writestr("b.npy", saved(np.ones(1)))
    return stream.getvalue().replace(b"b.npy", b"a.npy")


def lzma() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", saved(np.ones(1)))
    return stream.getvalue()


WHOLE = zipped(a=saved(np.ones(100)))


BAD_NPZ: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "no .npz file"),
    "no zip": (b"hello" * 100, "no .npz file"),
    "a zip without files": (zipped(), "has 0 arrays"),
    "cut off": (WHOLE[:-30], "no .npz file"),
    "damaged": (WHOLE.replace(np.ones(100).tobytes(), np.ones(99).tobytes() + bytes(8)), "no .npz file"),
    "another file in it": (other_name("readme.txt"), "ends with .npy"),
    "a name with a control character": (other_name("a\nb.npy"), "expected a name"),
    "two of one name": (twice(), "two arrays of one name"),
    "another compression": (lzma(), "compressed in another way"),
    "a pickle": (zipped(a=saved(np.array([{}], object))), "no plain number"),
    "records": (zipped(a=saved(np.zeros(1, "f4,i4"))), "no plain number"),
    "text": (zipped(a=saved(np.array(["a"]))), "no plain number"),
    "dates": (zipped(a=saved(np.zeros(1, "M8[s]"))), "no plain number"),
    "void": (zipped(a=saved(np.zeros(1, "V2"))), "save bfloat16 as .safetensors"),
    "no array": (zipped(a=b"hello world, here"), "a: "),
    "another version": (zipped(a=npy("{}", magic=b"\x93NUMPY\x09\x00")), "version"),
    "a shape that lies": (
        zipped(a=npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }\n", bytes(4))),
        "dtype and shape make 4000000000000",
    ),
    "a negative shape": (
        zipped(a=npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n")),
        "out of bounds",
    ),
    "many axes": (
        zipped(a=npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(1,) * 40}, }}\n")),
        "out of bounds",
    ),
    "code in the header": (
        zipped(a=npy("{'descr': __import__('os'), 'fortran_order': False, 'shape': (), }\n")),
        "a: ",
    ),
    "bytes after the array": (zipped(a=saved(np.ones(1)) + b"x"), "dtype and shape make 8"),
}


@pytest.mark.parametrize("name", BAD_NPZ)
def test_a_bad_npz_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, problem = BAD_NPZ[name]
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(UsageError, match=problem) as raised:
        read_weights(tmp_path / "model.npz")
    assert str(raised.value).isprintable()


def test_a_zip_that_claims_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    content = bytearray(WHOLE)
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(UsageError, match="dtype and shape make 800"):
        read_weights(tmp_path / "model.npz")


@settings(max_examples=150)
@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_any_changed_byte_of_an_npz_is_refused_or_without_effect(at: int, byte: int, tmp_path_factory: Any) -> None:
    content = bytearray(WHOLE)
    content[at] = byte
    file = tmp_path_factory.getbasetemp() / "changed.npz"
    file.write_bytes(content)
    try:
        found = read_weights(file)
    except UsageError as error:
        refused = str(error)
        assert refused.isprintable()
        return
    assert all(array.tobytes() == np.ones(100).tobytes() for array in found.values())
