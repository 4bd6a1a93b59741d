"""The model at hand: what is read from its files, and files that lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from named_arrays import ARRAYS, same
from safetensors.numpy import save_file

from pol_jax.attesting.weights import read_weights
from pol_jax.errors import UsageError


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    save_file(ARRAYS, tmp_path / "model.safetensors", metadata={"format": "np"})
    assert same(read_weights(tmp_path / "model.safetensors"), ARRAYS)


def test_shards_are_read_as_one_model(tmp_path: Path) -> None:
    one, other = {"a": np.ones(2, np.float32)}, {"b": np.ones(3, np.float32)}
    save_file(one, tmp_path / "model-00001-of-00002.safetensors")
    save_file(other, tmp_path / "model-00002-of-00002.safetensors")
    assert same(read_weights(tmp_path), one | other)
    save_file(one, tmp_path / "again.safetensors")
    with pytest.raises(UsageError, match="a is in two files"):
        read_weights(tmp_path)


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
