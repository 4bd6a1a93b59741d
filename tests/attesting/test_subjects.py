"""Subjects: the things that an attestation is about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.subjects import name_final
from pol_jax.errors import UsageError

ARRAYS = {"/params/kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}


def test_a_deployed_file_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    digests = digest_arrays(ARRAYS)
    (tmp_path / "a\nb").write_bytes(b"x")
    for name, problem in (
        ("absent", "no such file"),
        (".", "no such file"),
        ("a\nb", "printable"),
        ("n" * 257, "printable"),
    ):
        with pytest.raises(UsageError, match=problem):
            name_final(parameters=digests, state=digests, deployed=tmp_path / name)
