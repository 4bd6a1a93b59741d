"""Safetensors files: each dtype, and files that lie."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pol_jax.attesting.safetensors_file import DTYPES, read_safetensors
from pol_jax.attesting.weights import read_weights
from pol_jax.errors import UsageError


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


def test_bfloat16_has_its_values(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0, 3e38], ml_dtypes.bfloat16)
    (tmp_path / "m.safetensors").write_bytes(raw({"x": entry("BF16", (3,), (0, 6))}, values.tobytes()))
    assert (read_safetensors(tmp_path / "m.safetensors")["x"] == values).all()
