"""The encoding of an opening."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import second_implementation as second
import tiny
from opened_steps import SECRET, SOURCE

from pol_jax.errors import ProofError
from pol_jax.protocol.opening import Opening, commitment_at_the_head, parse_opening
from pol_jax.proving.choices import Choices
from pol_jax.proving.opener import open_steps
from pol_jax.proving.train import train


def test_what_parses_encodes_to_the_same_bytes(opening: Opening) -> None:
    assert parse_opening(opening.encode(), "it") == opening


def test_second_implementation_reads_private_records(tmp_path: Path) -> None:
    proof = train(tiny.plain(), tmp_path / "p", steps=4, choices=Choices(interval=4, secret=SECRET))
    plain = msgspec.msgpack.decode(open_steps(proof, SOURCE, (2,), secret=SECRET).encode())
    assert set(second.opened(plain, (tmp_path / "p" / "claim.json").read_bytes())) == {0, 1, 2, 4}


def test_more_or_less_than_an_opening(opening: Opening) -> None:
    content = opening.encode()
    fields = msgspec.msgpack.decode(content)
    longer = msgspec.msgpack.encode(fields | {"more": 1})
    for wrong in (content + b"\0", content[:-1], longer):
        with pytest.raises(ProofError):
            parse_opening(wrong, "it")
    reordered = msgspec.msgpack.encode(dict(reversed(fields.items())))
    with pytest.raises(ProofError, match="canonical"):
        parse_opening(reordered, "it")


def test_the_commitment_is_found_at_the_head(opening: Opening) -> None:
    """What isn't whole, or is no opening, has none; nothing that is read so is believed."""
    content = opening.encode()
    assert commitment_at_the_head(content) == opening.commitment
    end = content.index(opening.commitment) + len(opening.commitment)
    assert commitment_at_the_head(content[:end]) == opening.commitment
    for wrong in (content[: end - 1], content[:30], content[1:], b"", b"\xff" * 100):
        assert commitment_at_the_head(wrong) is None
    large = content.replace(b"commitment\xc5", b"commitment\xc6\xff\xff", 1)
    assert commitment_at_the_head(large) is None
