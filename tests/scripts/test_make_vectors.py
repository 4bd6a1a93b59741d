"""The stored vectors are those that the generator gives."""

from __future__ import annotations

from pathlib import Path

import make_vectors
import pytest


def test_generator_gives_the_stored_vectors_and_blocks_of_the_document() -> None:
    for path, content in make_vectors.contents().items():
        assert path.read_text() == content, f"{path}: differs; for a change on purpose, see docs/protocol.md, 0"


def test_generator_notices_a_difference(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_vectors, "contents", lambda: {make_vectors.ROOT / "README.md": "other"})
    assert make_vectors.main(["--check"]) == 1
    assert "README.md: differs" in capsys.readouterr().out
