"""Digests of arrays and files: what they cover."""

from __future__ import annotations

import subprocess
from pathlib import Path

import ml_dtypes
import numpy as np
from programs import needs
from signed_claims import ARRAYS, CLAIM, KEY, read

from pol_jax.attesting.attestation import (
    attest_claim,
)
from pol_jax.attesting.digests import digest_arrays, digest_file
from pol_jax.attesting.subjects import name_final

BFLOAT16 = ml_dtypes.bfloat16


def test_the_deployed_file_is_a_subject(tmp_path: Path) -> None:
    needs("b3sum", "sha256sum")
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights" * 1000)
    digests = digest_arrays(ARRAYS)
    subjects = name_final(parameters=digests, state=digests, deployed=file)
    found = read(attest_claim(CLAIM, subjects, KEY))
    assert found.digests_of("model.safetensors") == digest_file(file)
    for tool, kind in (("b3sum", "blake3"), ("sha256sum", "sha256")):
        said = subprocess.run([tool, file], capture_output=True, text=True, check=True).stdout.split()[0]
        assert said == getattr(digest_file(file), kind)


def test_digests_of_arrays_cover_what_they_are() -> None:
    """Another name, dtype, shape or bit is another digest; order of the mapping and of bytes in memory isn't."""
    base = np.arange(6, dtype=np.float32).reshape(2, 3)
    others: list[dict[str, np.ndarray]] = [
        {"a": base},
        {"b": base},
        {"a": base.astype(np.float64)},
        {"a": base.view(np.int32)},
        {"a": base.reshape(3, 2)},
        {"a": base.reshape(6)},
        {"a": -base},
        {"a": base, "b": base[:0]},
        {"a": base[0], "b": base[1]},
        {"ab": base[0], "": base[1]},
        {},
    ]
    digests = [digest_arrays(arrays) for arrays in others]
    assert len(set(digests)) == len(others)
    assert digest_arrays({"a": base.astype(">f4")}) == digest_arrays({"a": np.asfortranarray(base)}) == digests[0]
    assert digest_arrays({"b": base, "a": -base}) == digest_arrays({"a": -base, "b": base})
    assert digest_arrays({"a": base.astype(BFLOAT16)}) != digest_arrays({"a": base.astype(BFLOAT16).view(np.uint16)})
