"""The stored vectors are those that the generator gives."""

from __future__ import annotations

from pathlib import Path

import make_vectors
import pytest
from vectors import byte_wounds, field_wounds
from vectors.valid_documents import COMMITMENT
from vectors.wounds import Wound

from pol_jax.protocol.documents import encode


def test_generator_gives_the_stored_vectors_and_blocks_of_the_document() -> None:
    for path, content in make_vectors.contents().items():
        assert path.read_text() == content, f"{path}: differs; for a change on purpose, see docs/protocol.md, 0"


def test_generator_notices_a_difference(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_vectors, "contents", lambda: {make_vectors.ROOT / "README.md": "other"})
    assert make_vectors.main(["--check"]) == 1
    assert "README.md: differs" in capsys.readouterr().out


def test_every_wound_has_a_name_of_its_own() -> None:
    names = [wound.name for wound in (*field_wounds.wounds(), *byte_wounds.wounds())]
    assert len(names) == len(set(names)) > 100


def test_a_wound_that_is_not_refused_as_it_should_be_stops_the_generator() -> None:
    with pytest.raises(SystemExit, match="no wound: is not refused"):
        Wound("no wound", "commitment", "schema", "", encode(COMMITMENT)).check()
    with pytest.raises(SystemExit, match="list: the refusal doesn't name 'nonce'"):
        Wound("list", "commitment", "schema", "nonce", b"[]").check()
