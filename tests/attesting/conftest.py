"""Fixtures of these tests: the token of an authority; a proof's directory, and a reader's keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from timestamp_authority import Authority

from pol_jax.attesting.age_keys import write_new_identity
from pol_jax.attesting.timestamp import make_request

LONG = "/".join(["checkpoints", "0000000000", *["n" * 128] * 7])


@pytest.fixture(scope="session")
def token(authority: Authority) -> bytes:
    """Its response over the message of these tests."""
    return authority.answer(make_request(b'{"format":"pol-jax/1"}'))


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, str]:
    """An identity's file, and its recipient."""
    path = tmp_path / "identity"
    return path, write_new_identity(path)


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    """A directory with files of the sizes that matter to tar and to age."""
    root = tmp_path / "proof"
    contents = {
        "claim.json": 300,
        "empty": 0,
        "block": 512,
        "more": 513,
        "checkpoints/0000000000/d/00": 200_000,
        LONG: 7,
    }
    for at, (name, size) in enumerate(contents.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes((at + byte) % 251 for byte in range(size)))
    return root
