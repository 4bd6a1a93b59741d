"""A confidential proof is one age file: the archive of its directory, encrypted to its readers (X25519).

It is streamed: memory doesn't grow with the proof. Nothing appears under its name before it is whole: a file or
directory is written beside it and renamed at the end, or removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import pyrage  # type: ignore[import-untyped]  # has no stubs of its own

from pol_jax.attesting.age_keys import read_identities, read_recipients
from pol_jax.attesting.archive import ArchiveLimits, Extractor, stream_directory
from pol_jax.errors import PolError, ProofError, StorageError, UsageError, printable
from pol_jax.files import refuse_existing, whole_directory, whole_file

_MAGIC: Final = b"age-encryption.org/v1\n"
_MAX_HEADER: Final = 2**15
"""The header before the encrypted content has at most so many bytes: room for more recipients than `age_keys` takes."""

_CHUNK: Final = 2**20


def encrypt(directory: Path, recipients: Sequence[str], out: Path) -> None:
    """Encrypt the directory of a proof to ``recipients``.

    Args:
        directory: plain files in directories.
        recipients: ``age1...``, or files that have one a line.
        out: the file to write; it must not be there.

    Raises:
        UsageError: a wrong argument.
        StorageError: the disk.
    """
    readers = read_recipients(recipients)
    refuse_existing(out)
    # The archive would contain itself, and grow while it is read.
    if out.resolve().is_relative_to(directory.resolve()):
        raise UsageError(f"{printable(str(out))}: lies in the directory that is encrypted; choose a place outside it")
    with whole_file(out) as file:
        source, target = _PiecesReader(stream_directory(directory)), _FileWriter(file.write)
        try:
            pyrage.encrypt_io(source, target, readers)
        except (pyrage.EncryptError, OSError) as error:
            raise _cause(source, target, out=out) or StorageError(f"{out}: can't be encrypted: {error}") from error


def decrypt(file: Path, identities: Path, out: Path, *, limits: ArchiveLimits | None = None) -> None:
    """Decrypt what `encrypt` wrote into a new directory.

    Args:
        file: the age file, untrusted.
        identities: file with the reader's secret identities.
        out: the directory to make; it must not be there.
        limits: what the archive may have at most.

    Raises:
        UsageError: a wrong argument, or none of the identities is a recipient.
        ProofError: the file is damaged, changed, or holds no archive of `encrypt`.
        StorageError: the disk.
    """
    where = file.name
    keys = read_identities(identities)
    with _reading(file) as source, whole_directory(out) as folder:
        extractor = Extractor(folder, limits or ArchiveLimits(), where)
        target = _FileWriter(extractor.write)
        try:
            pyrage.decrypt_io(source, target, keys)
            extractor.finish()
        except pyrage.DecryptError as error:
            raise _not_decrypted(str(error), where, identities) from None
        except OSError as error:
            # Where writing did not fail, the library could not go on reading: the pieces are authenticated.
            raise _cause(target, out=out) or ProofError(where, "is damaged or cut off: it doesn't decrypt") from error
        finally:
            extractor.close()


class _PiecesReader:
    """This is a file to read, made of pieces; it keeps its exceptions, which pyrage loses."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        if size < 0:  # all of it, as files have it
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
        try:
            while not self._rest:
                self._rest = memoryview(next(self._pieces))
        except StopIteration:
            return b""
        except BaseException as error:  # an interruption too
            self.failure = error
            raise
        content, self._rest = self._rest[:size], self._rest[size:]
        return bytes(content)


class _FileWriter:
    """This is a file to write to, which keeps its exceptions as what is read does."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self._write = write
        self.failure: BaseException | None = None

    def write(self, piece: bytes) -> int:
        try:
            self._write(piece)
        except BaseException as error:  # an interruption too
            self.failure = error
            raise
        return len(piece)

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is whole."""


def _cause(*ends: _PiecesReader | _FileWriter, out: Path) -> PolError | None:
    """Return what a reader or writer stopped at, if one did; an interruption goes on."""
    for end in ends:
        if end.failure is not None and not isinstance(end.failure, Exception):
            raise end.failure
        if isinstance(end.failure, PolError):
            return end.failure
        if isinstance(end.failure, OSError):
            return StorageError(
                f"{printable(str(out))}: can't be written: {end.failure.strerror}; nothing is left of it"
            )
    return None


def _check_header(source: BinaryIO, where: str) -> None:
    """Bound the header before the library reads it, and go back to the start."""
    start = source.read(_MAX_HEADER)
    source.seek(0)
    if start.startswith(b"-----BEGIN AGE ENCRYPTED FILE-----"):
        raise UsageError(f"{printable(where)}: is armored; expected the binary form that pol encrypt writes")
    if not start.startswith(_MAGIC):
        raise ProofError(where, "is no age file; expected what pol encrypt writes")
    if b"\n---" not in start:  # the line that ends a header (C2SP age)
        raise ProofError(where, f"has an age header of more than {_MAX_HEADER} bytes, or one that is cut off")


def _not_decrypted(reason: str, where: str, identities: Path) -> PolError:
    if "No matching keys" in reason:
        return UsageError(
            f"{printable(where)}: is not encrypted to an identity in {printable(str(identities))}; give the identity "
            "of a recipient, or have it encrypted to yours"
        )
    return ProofError(where, "is damaged or cut off: its age header doesn't verify")


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """Open an age file whose header is within bounds."""
    name = printable(str(path))
    if not path.is_file():  # a pipe or a device can't be read twice
        raise UsageError(f"{name}: can't be read: no such file")
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{name}: can't be read: {error.strerror}") from None
    with file:
        _check_header(file, path.name)
        yield file
