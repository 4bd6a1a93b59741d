"""Confidential proofs: encrypted here and by age, decrypted here and by age; hostile files leave nothing behind."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyrage  # type: ignore[import-untyped]
import pytest
from directories import contents_of, left_over
from programs import needs
from tar_members import END, GOOD, member

from pol_jax.attesting import encryption
from pol_jax.attesting.age_keys import read_recipients, write_new_identity
from pol_jax.attesting.archive import ArchiveLimits, Extractor, stream_directory
from pol_jax.attesting.encryption import _PiecesReader, decrypt, encrypt
from pol_jax.attesting.tar_header import header_of
from pol_jax.errors import ProofError, StorageError, UsageError


def test_a_reader_gets_the_proof_back(proof: Path, keys: tuple[Path, str], tmp_path: Path) -> None:
    encrypt(proof, [keys[1]], tmp_path / "proof.age")
    decrypt(tmp_path / "proof.age", keys[0], tmp_path / "again")
    assert contents_of(tmp_path / "again") == contents_of(proof)
    assert b"checkpoints" not in (tmp_path / "proof.age").read_bytes()
    assert not left_over(tmp_path)


def test_several_recipients_each_decrypt(proof: Path, tmp_path: Path) -> None:
    one, other, third = (write_new_identity(tmp_path / name) for name in ("one", "other", "third"))
    (tmp_path / "list").write_text(f"# auditors\n{other}\n\n")
    encrypt(proof, [one, str(tmp_path / "list")], tmp_path / "proof.age")
    for name in ("one", "other"):
        decrypt(tmp_path / "proof.age", tmp_path / name, tmp_path / f"for {name}")
        assert contents_of(tmp_path / f"for {name}") == contents_of(proof)
    with pytest.raises(UsageError, match="not encrypted to an identity in"):
        decrypt(tmp_path / "proof.age", tmp_path / "third", tmp_path / "for third")
    assert not (tmp_path / "for third").exists()
    assert third not in (one, other)


def test_age_and_tar_read_what_is_encrypted_here(proof: Path, tmp_path: Path) -> None:
    needs("age", "age-keygen", "tar")
    subprocess.run(["age-keygen", "-o", "key"], cwd=tmp_path, check=True, capture_output=True)
    recipient = subprocess.run(["age-keygen", "-y", "key"], cwd=tmp_path, check=True, capture_output=True, text=True)
    encrypt(proof, [recipient.stdout.strip()], tmp_path / "proof.age")
    (tmp_path / "out").mkdir()
    subprocess.run("age -d -i key proof.age | tar -x -C out", shell=True, cwd=tmp_path, check=True)  # noqa: S602
    assert contents_of(tmp_path / "out") == contents_of(proof)
    decrypt(tmp_path / "proof.age", tmp_path / "key", tmp_path / "here")
    assert contents_of(tmp_path / "here") == contents_of(proof)


def test_what_age_encrypts_is_read_here(proof: Path, keys: tuple[Path, str], tmp_path: Path) -> None:
    needs("age")
    (tmp_path / "tar").write_bytes(b"".join(stream_directory(proof)))
    subprocess.run(["age", "-r", keys[1], "-o", "proof.age", "tar"], cwd=tmp_path, check=True)
    decrypt(tmp_path / "proof.age", keys[0], tmp_path / "again")
    assert contents_of(tmp_path / "again") == contents_of(proof)


def test_pieces_are_read_as_a_file_is() -> None:
    pieces = [b"abc", b"", b"de"]
    assert _PiecesReader(iter(pieces)).read() == b"abcde"
    source = _PiecesReader(iter(pieces))
    assert [source.read(2), source.read(), source.read(), source.read(1)] == [b"ab", b"cde", b"", b""]


def test_memory_does_not_grow_with_the_proof(tmp_path: Path) -> None:
    """A process encrypts and decrypts 100 MB (a sparse file) and grows by less than 30 MB."""
    (tmp_path / "proof").mkdir()
    with (tmp_path / "proof" / "records").open("wb") as file:
        file.truncate(10**8)
    script = """
import resource, sys
from pathlib import Path
from pol_jax.attesting.age_keys import write_new_identity
from pol_jax.attesting.encryption import decrypt, encrypt
here = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
encrypt(here / "proof", [write_new_identity(here / "key")], here / "age")
decrypt(here / "age", here / "key", here / "again")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, (here / "again/records").stat().st_size)
"""
    said = subprocess.run([sys.executable, "-c", script, tmp_path], check=True, capture_output=True, text=True).stdout
    grown, size = map(int, said.split())
    assert size == 10**8
    assert grown < 30_000, f"{grown} kB more than before"


# --- wrong arguments ---------------------------------------------------------------------------------------------


def test_nothing_is_overwritten(proof: Path, keys: tuple[Path, str], tmp_path: Path) -> None:
    encrypt(proof, [keys[1]], tmp_path / "a.age")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for out in (tmp_path / "a.age", proof, tmp_path / "dangling"):
        with pytest.raises(UsageError, match="is there already"):
            encrypt(proof, [keys[1]], out)
        with pytest.raises(UsageError, match="is there already"):
            decrypt(tmp_path / "a.age", keys[0], out)
    with pytest.raises(StorageError, match="can't be written"):
        encrypt(proof, [keys[1]], tmp_path / "no such folder" / "a.age")
    with pytest.raises(StorageError, match="can't be written"):
        decrypt(tmp_path / "a.age", keys[0], tmp_path / "no such folder" / "out")


def test_only_plain_files_are_encrypted(proof: Path, keys: tuple[Path, str], tmp_path: Path) -> None:
    def attempt(problem: str, kind: type[Exception] = UsageError, where: Path = proof) -> None:
        with pytest.raises(kind, match=problem):
            encrypt(where, [keys[1]], tmp_path / "out.age")
        assert not (tmp_path / "out.age").exists()
        assert not left_over(tmp_path)

    attempt("no directory", where=proof / "claim.json")
    attempt("no directory", where=tmp_path / "absent")
    with pytest.raises(UsageError, match="lies in the directory that is encrypted"):
        encrypt(proof, [keys[1]], proof / "checkpoints" / "out.age")
    (tmp_path / "empty folder").mkdir()
    attempt("is empty", where=tmp_path / "empty folder")
    (proof / "link").symlink_to("/etc/passwd")
    attempt("no links or devices")
    (proof / "link").unlink()
    (proof / "folder").symlink_to("/etc")
    attempt("no links or devices")
    (proof / "folder").unlink()
    os.mkfifo(proof / "pipe")
    attempt("no links or devices")
    (proof / "pipe").unlink()
    (proof / "a name").touch()
    attempt("a name that no proof has")


# --- hostile files -----------------------------------------------------------------------------------------------


def test_a_damaged_age_file_leaves_nothing(proof: Path, keys: tuple[Path, str], tmp_path: Path) -> None:
    encrypt(proof, [keys[1]], tmp_path / "proof.age")
    whole = (tmp_path / "proof.age").read_bytes()
    flips = [
        bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        for at in (0, 30, 80, 160, 210, 5000, len(whole) - 1)
    ]
    cuts = [whole[:at] for at in (0, 10, 100, 190, 3000, 65_536 + 200, len(whole) - 1)]
    for content in [*flips, *cuts, whole + b"x", b"hello"]:
        (tmp_path / "damaged.age").write_bytes(content)
        with pytest.raises((ProofError, UsageError)) as raised:
            decrypt(tmp_path / "damaged.age", keys[0], tmp_path / "out")
        assert str(raised.value).startswith("damaged.age: ")
        assert not (tmp_path / "out").exists()
        assert not left_over(tmp_path)


def test_an_endless_header_is_refused(keys: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "a.age").write_bytes(b"age-encryption.org/v1\n-> X25519 " + b"A" * 10**6)
    with pytest.raises(ProofError, match="age header of more than"):
        decrypt(tmp_path / "a.age", keys[0], tmp_path / "out")
    (tmp_path / "a.age").write_bytes(b"-----BEGIN AGE ENCRYPTED FILE-----\n")
    with pytest.raises(UsageError, match="armored"):
        decrypt(tmp_path / "a.age", keys[0], tmp_path / "out")


def pax(name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as file:
        file.addfile(tarfile.TarInfo(name), io.BytesIO())
    return stream.getvalue()


def signed(header: bytes) -> bytes:
    """The header with a size of -1, and a checksum that is right."""
    changed = header[:124] + b"-0000000001\0" + header[136:148] + b" " * 8 + header[156:]
    return changed[:148] + b"%06o\0 " % sum(changed) + changed[156:]


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "cut off"),
    "no end": (member("a"), "cut off"),
    "half an end": (member("a") + bytes(512), "cut off"),
    "half a header": (header_of("a", 1)[:100], "cut off"),
    "half a file": (header_of("a", 1000) + b"x", "cut off"),
    "something after the end": (GOOD + bytes(512), "after its end"),
    "a parent": (member("../a") + END, "name '../a'"),
    "a parent inside": (member("a/../../b") + END, "name"),
    "a parent at the end": (member("a/..") + END, "name"),
    "this directory": (member("./a") + END, "name './a'"),
    "a dot": (member(".") + END, "name '.'"),
    "an absolute path": (member("/etc/passwd") + END, "name '/etc/passwd'"),
    "an empty name": (header_of("a", 0).replace(b"a", b"\0", 1) + END, "name ''"),
    "an empty part": (member("a//b") + END, "name"),
    "a backslash": (member("a\\b") + END, "name"),
    "a control character": (member("a\x1bb") + END, "name"),
    "a long parent": (member("../" + "a" * 200) + END, "name"),
    "a name too long": (member("/".join(["n" * 100] * 40)) + END, "too long"),
    "a part too long": (member("n" * 129) + END, "name"),
    "a directory": (member("a", b"", type=tarfile.DIRTYPE) + END, "name 'a/'"),
    "a link": (member("a", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd") + END, "no plain file"),
    "a hard link": (member("a", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd") + END, "no plain file"),
    "a device": (member("a", b"", type=tarfile.CHRTYPE) + END, "no plain file"),
    "a pipe": (member("a", b"", type=tarfile.FIFOTYPE) + END, "no plain file"),
    "a sparse file": (member("a", b"", type=tarfile.GNUTYPE_SPARSE) + END, "no plain file"),
    "a long link": (member("././@LongLink", b"/etc/passwd\0", type=tarfile.GNUTYPE_LONGLINK) + END, "name"),
    "a pax header": (pax("b" * 200), "no plain file|name"),
    "another mode": (member("a", mode=0o4755) + END, "no plain file"),
    "an owner": (member("a", uid=1) + END, "no plain file"),
    "a time": (member("a", mtime=1) + END, "no plain file"),
    "a damaged checksum": (header_of("a", 0)[:-1] + b"x" + END, "no plain file"),
    "padding that is not zero": (header_of("a", 1) + b"xy" + bytes(510) + END, "padding"),
    "a name twice": (member("a") + member("a") + END, "out of order, or twice"),
    "out of order": (member("b") + member("a") + END, "out of order"),
    "a file and a directory": (member("a") + member("a/b") + END, "where another file is"),
    "a size beyond the limit": (header_of("a", 2**50), "the limit"),
    "a negative size": (header_of("a", 0)[:124] + b"\xff" * 12 + header_of("a", 0)[136:] + END, "damaged header"),
    "a size with a sign": (signed(header_of("a", 0)) + END, "damaged header"),
    "too many files": (b"".join(member(f"f{at:03}") for at in range(101)) + END, "the limit"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_leaves_nothing(name: str, keys: tuple[Path, str], tmp_path: Path) -> None:
    content, problem = HOSTILE[name]
    (tmp_path / "a.age").write_bytes(pyrage.encrypt(content, read_recipients([keys[1]])))
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ProofError, match=problem) as raised:
        decrypt(tmp_path / "a.age", keys[0], tmp_path / "out", limits=ArchiveLimits(files=100, bytes=10**6))
    assert str(raised.value).isprintable()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_full_disk_is_the_machines_fault(
    proof: Path, keys: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt(proof, [keys[1]], tmp_path / "proof.age")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Extractor, "write", full)
    with pytest.raises(StorageError, match="No space left on device; nothing is left of it"):
        decrypt(tmp_path / "proof.age", keys[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not left_over(tmp_path)


def test_an_interruption_leaves_nothing(
    proof: Path, keys: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt(proof, [keys[1]], tmp_path / "proof.age")

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    stop: Callable[..., int] = interrupted
    monkeypatch.setattr(Extractor, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        decrypt(tmp_path / "proof.age", keys[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not left_over(tmp_path)


def test_an_interruption_of_an_encryption_goes_on(proof: Path, keys: tuple[Path, str], tmp_path: Path) -> None:
    """The library turns what a reader raises into an error of its own; an interruption must stay one."""

    def interrupted(_: Path) -> Iterator[bytes]:
        yield bytes(512)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encryption, "stream_directory", interrupted)
        with pytest.raises(KeyboardInterrupt):
            encrypt(proof, [keys[1]], tmp_path / "out.age")
    assert not (tmp_path / "out.age").exists()
    assert not left_over(tmp_path)
