"""A program that another version of jax wrote, and that this one can't read, is not damaged."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import jax.export
import pytest
from forge import Forger

from pol_jax.program.artifact import STEP_FILE
from pol_jax.program.artifact_version import FormatVersion, read_version, unreadable_here
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report

Verify = Callable[..., Report]


def patched(artifact: bytes, field: int, value: int) -> bytes:
    """The artifact with another number in a field of its flatbuffer's table."""
    table = struct.unpack_from("<I", artifact)[0]
    directory = table - struct.unpack_from("<i", artifact, table)[0]
    at = table + struct.unpack_from("<H", artifact, directory + 4 + 2 * field)[0]
    return artifact[:at] + struct.pack("<H", value) + artifact[at + 2 :]


def test_version_is_that_of_jax_s_own_reader(plain_proof: Path) -> None:
    content = (plain_proof / STEP_FILE).read_bytes()
    version = read_version(content)
    assert version is not None
    assert version.calling_convention == jax.export.deserialize(bytearray(content)).calling_convention_version
    assert unreadable_here(content) is None
    assert read_version(patched(content, 0, 77)) == FormatVersion(77, version.calling_convention)


@pytest.mark.parametrize("artifact", [b"", b"\0" * 8, b"\xff" * 64, b"\4\0\0\0" + b"\1\0\0\0" * 20])
def test_what_is_no_program_has_no_version(artifact: bytes) -> None:
    assert read_version(artifact) is None
    assert unreadable_here(artifact) is None


def test_calling_convention_of_another_jax_is_inconclusive(forger: Forger, verify_plain: Verify) -> None:
    commit(forger, patched((forger.root / STEP_FILE).read_bytes(), 14, 99))
    left_open(verify_plain(forger.root), "calling convention 99")


def test_serialization_of_another_jax_is_inconclusive(
    forger: Forger, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This jax reads no more than the number; the rest is of a form that it doesn't know."""
    commit(forger, patched((forger.root / STEP_FILE).read_bytes(), 0, 99))
    read = jax.export.deserialize

    def older(artifact: bytearray) -> jax.export.Exported:
        version = read_version(bytes(artifact))
        return unknown(artifact) if version and version.serialization == 99 else read(artifact)

    monkeypatch.setattr("jax.export.deserialize", older)
    left_open(verify_plain(forger.root), "serialization version 99")


def test_damaged_program_of_this_version_is_rejected(
    forger: Forger, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(forger, (forger.root / STEP_FILE).read_bytes()[:-400])
    monkeypatch.setattr("jax.export.deserialize", unknown)
    assert verify_plain(forger.root).verdict is Verdict.REJECTED


def test_module_of_another_stablehlo_is_inconclusive(forger: Forger, verify_plain: Verify) -> None:
    """An operation may be newer than this jax, though the artifact around it has numbers that this jax knows."""
    content = (forger.root / STEP_FILE).read_bytes()
    at = content.index(b"StableHLO_v")
    damaged = content[: at + 60] + b"\xff" * 20 + content[at + 80 :]
    commit(forger, damaged)
    assert verify_plain(forger.root).verdict is Verdict.REJECTED
    commit(forger, damaged.replace(b"StableHLO_v1", b"StableHLO_v9"))
    left_open(verify_plain(forger.root), "StableHLO_v9")


def commit(forger: Forger, artifact: bytes) -> None:
    forger.commit_to_step_program(artifact)
    forger.write_documents()


def unknown(_: bytearray) -> jax.export.Exported:
    raise ValueError("a form that this jax doesn't know")


def left_open(report: Report, words: str) -> None:
    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
    assert report.stages[2].outcome is Outcome.INCONCLUSIVE
    assert words in report.reasons[0]
    assert "use the prover's jax" in report.reasons[0]
