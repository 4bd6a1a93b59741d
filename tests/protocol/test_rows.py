"""The encoding of ledger rows."""

from __future__ import annotations

import second_implementation as second
from stored_vectors import unhex, vectors


def test_row_bytes_and_digests_are_those_of_the_vectors() -> None:
    for vector in vectors("rows"):
        version, metrics = second.version_of(vector), bytes.fromhex(vector["metrics"])
        key, batch = bytes.fromhex(vector["key"]), bytes.fromhex(vector["batch_digest"])
        content = second.row_bytes(
            vector["step"], key, vector["indices"], batch, unhex(vector["state_digest"]), metrics, version
        )
        assert content.hex() == vector["bytes"]
        assert second.digest("ledger row", content, version=version).hex() == vector["digest"]
