"""Orbax is used in one version, on paths that it can read, and under names that it does not divide."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tiny
from unsandboxed import verify

import pol_jax
from pol_jax.errors import BackendError, UsageError
from pol_jax.protocol.policies import AllSegments
from pol_jax.protocol.trees import LeafSpec
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage import orbax_settings
from pol_jax.storage.orbax_settings import check_orbax, escaped_names, reason_of


@pytest.mark.parametrize(
    ("name", "words"),
    [("a[b]", "has a bracket"), ("a\\b", "has a backslash"), ("a\udcffb", "is no UTF-8")],
)
def test_a_path_that_orbax_takes_for_a_pattern(name: str, words: str, plain_proof: Path, tmp_path: Path) -> None:
    """What is trained there could not be read back, and an honest proof that was copied there would be rejected."""
    root = tmp_path / name
    with pytest.raises(UsageError, match=words):
        pol_jax.train(tiny.plain(), root / "proof", steps=2)
    assert not root.exists()
    shutil.copytree(plain_proof, root / "proof")
    with pytest.raises(UsageError, match=words):
        verify(root / "proof", tiny.plain().source, policy=AllSegments(), nonce=b"n")
    with pytest.raises(UsageError, match=words):
        pol_jax.open_proof(root / "proof").final_state()


@pytest.mark.parametrize("name", ["a*b", "a?b", "a b", "ü", "a#b", "{x}", "~", "a\nb", "s3:", "x.orbax-checkpoint-tmp"])
def test_other_paths_are_read(name: str, plain_proof: Path, tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    root = Path(shutil.copytree(plain_proof, tmp_path / name))
    assert pol_jax.open_proof(root).leaves(6)


def test_an_orbax_that_was_not_tested_leaves_the_verdict_open(
    plain_proof: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds an honest checkpoint damaged, which would be a rejection."""
    monkeypatch.setattr(orbax_settings, "version", lambda _: "0.11.36")
    report = verify(plain_proof, tiny.plain().source, policy=AllSegments())
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "orbax-checkpoint 0.11.36 is installed, expected 0.12.*" in report.reasons[-1]


@pytest.mark.parametrize("version", ["0.11.9", "0.120.1", "1.12.0"])
def test_another_orbax_is_refused_by_its_version(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orbax_settings, "version", lambda _: "0.12.99")
    check_orbax()
    monkeypatch.setattr(orbax_settings, "version", lambda _: version)
    with pytest.raises(BackendError, match="is installed, expected 0\\.12"):
        check_orbax()


def test_names_are_escaped_so_that_orbax_takes_none_for_several() -> None:
    paths = {
        "/params/w": ("params", "w"),
        "/a.b/c~0d": ("a%2Eb", "c%7Ed"),
        "/a~1b/é": ("a%2Fb", "%C3%A9"),
        "/%/": ("%25", "%"),
        "": ("state",),
    }
    spec = tuple(LeafSpec(path, "float32", (), (), None) for path in paths)
    assert escaped_names(spec) == list(paths.values())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device", "a"), "No space left on device"),
        (RuntimeError("wrapped: Permission denied (13)"), "Permission denied"),
        (ValueError("first line\nsecond line"), "ValueError: first line"),
        (ValueError("x" * 200), "ValueError: " + "x" * 120),
        (KeyError(), "KeyError: KeyError"),
    ],
)
def test_the_reason_of_an_error_is_one_line(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason
