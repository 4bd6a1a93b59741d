"""What a verifier trusts is read before anything is verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from pol_jax.attesting.anchors import Anchors, read_anchors
from pol_jax.errors import UsageError


def test_nothing_is_trusted_that_is_not_named() -> None:
    assert read_anchors(None, None) == Anchors(None, None)


def test_what_is_no_key_and_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("-----BEGIN NOTHING-----")
    with pytest.raises(UsageError, match="certificate"):
        read_anchors(None, tmp_path / "roots.pem")
    with pytest.raises(UsageError):
        read_anchors("no key", None)
    with pytest.raises(UsageError, match=r"nowhere\.pem: can't be read"):
        read_anchors(None, tmp_path / "nowhere.pem")
