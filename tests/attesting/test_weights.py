"""The model at hand: what is read from its files, and files that lie."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pol_jax.attesting.safetensors_file import DTYPES, read_safetensors
from pol_jax.attesting.weights import read_weights
from pol_jax.errors import UsageError

ARRAYS = {
    "dense.kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "dense.bias": np.zeros(4, np.float16),
    "empty": np.zeros((0, 3), np.int32),
    "scalar": np.array(7, np.int64),
    "mask": np.array([True, False, True]),
}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and one[name].tobytes() == other[name].tobytes()
        for name in one
    )


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    save_file(ARRAYS, tmp_path / "model.safetensors", metadata={"format": "np"})
    assert same(read_weights(tmp_path / "model.safetensors"), ARRAYS)


def test_npz_is_read(tmp_path: Path) -> None:
    arrays = {**ARRAYS, "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "big": np.arange(3, dtype=">f4")}
    expected = {**arrays, "big": np.arange(3, dtype="<f4")}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "model.npz", **arrays)
        assert same(read_weights(tmp_path / "model.npz"), expected)


def test_shards_are_read_as_one_model(tmp_path: Path) -> None:
    one, other = {"a": np.ones(2, np.float32)}, {"b": np.ones(3, np.float32)}
    save_file(one, tmp_path / "model-00001-of-00002.safetensors")
    save_file(other, tmp_path / "model-00002-of-00002.safetensors")
    assert same(read_weights(tmp_path), one | other)
    save_file(one, tmp_path / "again.safetensors")
    with pytest.raises(UsageError, match="a is in two files"):
        read_weights(tmp_path)


def raw(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: Any = "F32", shape: Any = (1,), offsets: Any = (0, 4), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


@pytest.mark.parametrize("name", DTYPES)
def test_each_dtype_is_read(name: str, tmp_path: Path) -> None:
    kind = DTYPES[name]
    content = bytes(range(kind.itemsize * 2)) if name != "BOOL" else b"\0\1"
    file = tmp_path / "model.safetensors"
    for pad in range(8):  # arrays begin where the header ends, aligned or not
        header = json.dumps({"x": entry(name, (2,), (0, len(content)))}).encode() + b" " * pad
        file.write_bytes(raw(header, content))
        found = read_safetensors(file)["x"]
        assert (found.dtype, found.shape, found.tobytes()) == (kind, (2,), content)


def test_bfloat16_has_its_values(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0, 3e38], ml_dtypes.bfloat16)
    (tmp_path / "m.safetensors").write_bytes(raw({"x": entry("BF16", (3,), (0, 6))}, values.tobytes()))
    assert (read_weights(tmp_path / "m.safetensors")["x"] == values).all()


LIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "seven bytes": (bytes(7), "claims a header"),
    "a header beyond the file": (raw({}, b"", 1000), "claims a header of 1000 bytes"),
    "a header of 2^63 bytes": (raw({}, b"", 2**63), "claims a header"),
    "a header cut short": (raw({"a": entry()}, bytes(4), 5), "not JSON"),
    "no JSON": (raw(b"hello"), "not JSON"),
    "a list": (raw([]), "expected an object"),
    "an array twice": (raw(b'{"a":1,"a":2}'), "twice"),
    "deep": (raw(b'{"a":' * 5000 + b"1" + b"}" * 5000), "nested deeper"),
    "metadata that is no text": (raw({"__metadata__": {"a": 1}}), "__metadata__"),
    "an entry that is no object": (raw({"a": 1}), "expected dtype"),
    "an entry with more": (raw({"a": entry(more=1)}, bytes(4)), "nothing else"),
    "another dtype": (raw({"a": entry("F4")}, bytes(4)), "not supported"),
    "a dtype that is no text": (raw({"a": entry(["F32"])}, bytes(4)), "not supported"),
    "a negative size": (raw({"a": entry(shape=(-1,))}, bytes(4)), "expected integers"),
    "a size that is true": (raw({"a": entry(shape=(True,))}, bytes(4)), "expected integers"),
    "a size of 2^60": (raw({"a": entry(shape=(2**60,))}, bytes(4)), "expected integers"),
    "sizes whose product overflows": (raw({"a": entry(shape=(2**40, 2**40))}, bytes(4)), "dtype and shape make"),
    "many axes": (raw({"a": entry(shape=(1,) * 33)}, bytes(4)), "at most 32 axes"),
    "offsets that are no pair": (raw({"a": entry(offsets=(0, 4, 8))}, bytes(4)), "a first and a last byte"),
    "offsets the wrong way": (raw({"a": entry(offsets=(4, 0))}, bytes(4)), "a first and a last byte"),
    "an offset below 0": (raw({"a": entry(offsets=(-4, 0))}, bytes(4)), "expected integers"),
    "an offset beyond the file": (raw({"a": entry(shape=(2,), offsets=(0, 8))}, bytes(4)), "ends at byte 8 of 4"),
    "less than its shape": (raw({"a": entry(shape=(2,))}, bytes(4)), "has 4 bytes, but its dtype and shape make 8"),
    "arrays that overlap": (raw({"a": entry(), "b": entry(offsets=(2, 6))}, bytes(6)), "begins at byte 2"),
    "arrays in one place": (raw({"a": entry(), "b": entry()}, bytes(4)), "begins at byte 0"),
    "a gap": (raw({"a": entry(), "b": entry(offsets=(8, 12))}, bytes(12)), "begins at byte 8"),
    "a gap before the first": (raw({"a": entry(offsets=(4, 8))}, bytes(8)), "begins at byte 4"),
    "bytes after the last": (raw({"a": entry()}, bytes(5)), "1 bytes after the last array"),
    "a name without characters": (raw({"": entry()}, bytes(4)), "expected a name"),
    "a name with a control character": (raw({"a\nb": entry()}, bytes(4)), "expected a name"),
    "half a surrogate": (raw(b'{"\\ud800":' + json.dumps(entry()).encode() + b"}", bytes(4)), "expected a name"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_safetensors_file_that_lies_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, problem = LIES[name]
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UsageError, match=problem) as raised:
        read_weights(tmp_path / "model.safetensors")
    assert str(raised.value).isprintable()


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


def test_what_is_no_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    for path, problem in (
        (tmp_path / "model.bin", "expected a model as .safetensors or .npz"),
        (tmp_path / "folder", "has 0 .safetensors files"),
        (tmp_path / "absent.safetensors", "can't be read: No such file"),
        (tmp_path / "absent.npz", "can't be read: No such file"),
    ):
        with pytest.raises(UsageError, match=problem):
            read_weights(path)
