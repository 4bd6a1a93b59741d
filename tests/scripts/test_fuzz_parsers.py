"""Each parser of untrusted bytes returns a value or refuses; the script itself finds one that does neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fuzz_parsers import damaged, fuzz
from places import TESTS
from red_team.parsers import Parser, parsers

FROZEN = TESTS / "frozen" / "pol-jax-2" / "jax-0.10.2"
CASES = 200
"""Of each parser; the script has any number."""


def test_no_parser_does_anything_but_parse_or_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for parser in parsers(FROZEN / "plain", FROZEN / "plain.opening", tmp_path):
        found = fuzz(parser, max(1, int(CASES * parser.share)), seed=1)
        assert found["bugs"] == 0, (parser.name, list(tmp_path.glob("fuzz-*")))
        read = not parser.name.startswith("checkpoint ")  # Orbax does not look at all of its files
        assert found["refused"] > 0 or not read, parser.name


def test_a_parser_that_raises_or_writes_other_bytes_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def careless(content: bytes) -> bytes:
        return bytes([content[0]])

    assert fuzz(Parser("careless", b"whole", careless), 20, 0)["bugs"] > 10
    assert len(list(tmp_path.glob("fuzz-careless-*"))) > 10


def test_the_same_seed_damages_alike() -> None:
    first, second = (damaged(b"0123456789", np.random.default_rng((3, 4))) for _ in range(2))
    assert first == second
    assert any(damaged(b"0123456789", np.random.default_rng(case)) != b"0123456789" for case in range(5))
