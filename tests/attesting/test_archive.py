"""Archives: what is read is written again as it was."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from directories import contents_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tar_members import END, GOOD, member

from pol_jax.attesting import archive
from pol_jax.attesting.archive import ArchiveLimits, Extractor, stream_directory
from pol_jax.attesting.tar_header import header_of
from pol_jax.errors import ProofError, StorageError


def test_a_file_that_changes_meanwhile_is_noticed(proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_CHUNK", 100)
    changing = proof / "checkpoints/0000000000/d/00"
    for change in (lambda: changing.write_bytes(b"short"), lambda: os.truncate(changing, 10**6)):
        changing.write_bytes(bytes(200_000))
        pieces = stream_directory(proof)
        while next(pieces) != header_of("checkpoints/0000000000/d/00", 200_000):
            pass
        next(pieces)
        change()
        with pytest.raises(StorageError, match="d/00: changed while it was read"):
            list(pieces)


@settings(max_examples=40)
@given(data=st.data())
def test_what_is_read_is_written_again_as_it_was(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Pieces of any size; the law: an archive that is taken is the archive of the directory that it gave."""
    part = st.text("abAB_.%-", min_size=1, max_size=130)
    names = st.lists(part, min_size=1, max_size=3).map("/".join)
    contents = sorted(data.draw(st.dictionaries(names, st.binary(max_size=600), min_size=1, max_size=4)).items())
    stream = b"".join(member(name, content) for name, content in contents) + END
    root = tmp_path_factory.mktemp("out")
    extractor = Extractor(root, ArchiveLimits(), "a")
    try:
        at = 0
        while at < len(stream):
            size = data.draw(st.integers(1, 1500))
            extractor.write(stream[at : at + size])
            at += size
        extractor.finish()
    except ProofError:
        return
    finally:
        extractor.close()
    assert b"".join(stream_directory(root)) == stream
    assert contents_of(root) == dict(contents)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_no_change_of_an_archive_is_a_crash(changes: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for at, byte in changes:
        content[at] = byte
    with tempfile.TemporaryDirectory() as folder:
        extractor = Extractor(Path(folder), ArchiveLimits(bytes=2**20), "a")
        try:
            extractor.write(bytes(content))
            extractor.finish()
        except ProofError:
            pass
        finally:
            extractor.close()
        outside = [path for path in Path(folder).iterdir() if path.is_symlink()]
        assert not outside
