"""Recipients and identities: wrong ones are one clear line, and secrets are never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pyrage  # type: ignore[import-untyped]
import pytest
from directories import left_over

from pol_jax.attesting.age_keys import read_identities, read_recipients, write_new_identity
from pol_jax.attesting.encryption import decrypt, encrypt
from pol_jax.errors import UsageError


def test_wrong_recipients_are_one_clear_line(proof: Path, keys: tuple[Path, str], tmp_path: Path) -> None:
    swapped = keys[1][:-1] + ("q" if keys[1][-1] != "q" else "p")
    (tmp_path / "empty").write_text("# nobody\n")
    for recipients, problem in (
        ([], "got 0 recipients"),
        ([swapped], "whose checksum is right"),
        ([keys[1][:-2]], "whose checksum is right"),
        ([keys[1].upper()], "nor a file that can be read"),
        ([str(tmp_path / "absent")], "nor a file that can be read"),
        (["a\0b"], "nor a file that can be read"),
        ([str(tmp_path / "empty")], "got 0 recipients"),
        ([keys[1]] * 65, "got 65 recipients"),
    ):
        with pytest.raises(UsageError, match=problem):
            encrypt(proof, recipients, tmp_path / "out.age")
    assert not (tmp_path / "out.age").exists()
    assert not left_over(tmp_path)


def test_a_secret_is_never_shown(proof: Path, keys: tuple[Path, str], tmp_path: Path) -> None:
    secret = keys[0].read_text().splitlines()[1]
    assert secret.startswith("AGE-SECRET-KEY-1")
    assert keys[0].stat().st_mode & 0o777 == 0o600
    (tmp_path / "damaged").write_text(secret[:-1])
    for call in (
        lambda: encrypt(proof, [secret], tmp_path / "out"),
        lambda: encrypt(proof, [secret.lower()], tmp_path / "out"),
        lambda: encrypt(proof, [str(keys[0])], tmp_path / "out"),
        lambda: read_identities(tmp_path / "damaged"),
        lambda: write_new_identity(keys[0]),
    ):
        with pytest.raises(UsageError) as raised:
            call()
        error: BaseException | None = raised.value
        while error is not None:
            assert secret[20:40].upper() not in repr(error).upper()
            error = error.__cause__ or error.__context__
    assert secret not in repr(read_identities(keys[0])) + str(read_recipients([keys[1]]))


def test_wrong_identities_are_one_clear_line(keys: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "file.age").write_bytes(pyrage.encrypt(b"x", read_recipients([keys[1]])))
    for content, problem in (
        (b"", "has 0 identities"),
        (b"hello", "no age identity"),
        (keys[1].encode(), "what decrypts"),
        (b"\xff\xfe", "no file of age keys"),
        (b"#" * 70_000, "no file of age keys"),
        (b"age-encryption.org/v1\n-> scrypt a 1\n", "no age identity"),
    ):
        (tmp_path / "wrong").write_bytes(content)
        with pytest.raises(UsageError, match=problem):
            decrypt(tmp_path / "file.age", tmp_path / "wrong", tmp_path / "out")
    with pytest.raises(UsageError, match="can be read"):
        decrypt(tmp_path / "file.age", tmp_path / "absent", tmp_path / "out")
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent", "pipe", "."):
        with pytest.raises(UsageError, match="can't be read"):
            decrypt(tmp_path / name, keys[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()
