"""Openings are read within limits, and written whole."""

from __future__ import annotations

import dataclasses
import os
import tracemalloc
from pathlib import Path

import pytest

from pol_jax.errors import ProofError
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening
from pol_jax.storage.openings import read_opening, write_opening


def test_size_is_bounded_before_reading(opening: Opening, tmp_path: Path) -> None:
    write_opening(tmp_path / "opening", opening)
    with pytest.raises(ProofError, match="more than 100 bytes"):
        read_opening(tmp_path / "opening", dataclasses.replace(Limits(), opening_bytes=100))


def test_a_sparse_opening_of_a_terabyte_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "opening").touch()
    os.truncate(tmp_path / "opening", 2**40)
    tracemalloc.start()
    try:
        with pytest.raises(ProofError, match="opening: has more than 68719476736 bytes"):
            read_opening(tmp_path / "opening", Limits())
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
