"""Each file of a proof has the limit of its kind, and constants have one that grows with the state."""

from __future__ import annotations

import pytest

from pol_jax.protocol.limits import Limits

LIMITS = Limits(document_bytes=1, program_bytes=2, records_bytes=3, segment_bytes=4, total_bytes=5)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("claim.json", 1),
        ("program/step.jax_export", 2),
        ("records", 3),
        ("ledger/0000000000.parquet", 4),
        ("checkpoints/0000000000/state/a", 5),
        ("checkpoints/0000000000/state/zarr.json", 5),
        ("interventions/0000000000/a", 5),
    ],
)
def test_a_file_has_the_limit_of_its_kind(name: str, most: int) -> None:
    assert LIMITS.file_bytes(name) == most


def test_a_large_state_allows_more_constants_but_too_few_for_a_model() -> None:
    assert Limits().constants(0) == Limits().constants(100 * 2**14) == 2**14
    assert Limits().constants(100 * 2**14 + 100) == 2**14 + 1
    assert Limits(constant_bytes=2**20).constants(0) == 2**20
