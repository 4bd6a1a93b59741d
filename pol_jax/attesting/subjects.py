"""The subjects of an attestation are the things that it is about, each by a BLAKE3 and a SHA-256 digest.

Two hashes, because BLAKE3 is what a proof uses and SHA-256 is what other tools look models up by. Arrays are digested
by name, type, shape and value, and not as files: one model has many files.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from blake3 import blake3

from pol_jax.errors import ProofError, StorageError, UsageError, printable

PARAMETERS: Final = "final parameters"
STATE: Final = "final state"
COMMITMENT: Final = "commitment.json"

MAX_SUBJECTS: Final = 64
MAX_NAME: Final = 256

_DOMAIN: Final = b"pol-jax/1 arrays\n"
"""What the digested bytes begin with, so that no file's digest is taken for that of arrays."""

_CHUNK: Final = 2**22
_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Digests:
    """The digests of the same bytes, as 64 hex digits each.

    Attributes:
        blake3: by BLAKE3, unkeyed.
        sha256: by SHA-256.
    """

    blake3: str
    sha256: str


@dataclass(frozen=True)
class Subject:
    """One thing that is attested.

    Attributes:
        name: `PARAMETERS`, `STATE`, `COMMITMENT`, or the base name of a file.
        digests: of its bytes.
    """

    name: str
    digests: Digests


def digest_bytes(chunks: Iterable[bytes | memoryview]) -> Digests:
    """Digest bytes that come in pieces, with both hashes in one pass."""
    one, other = blake3(), hashlib.sha256()
    for chunk in chunks:
        one.update(chunk)
        other.update(chunk)
    return Digests(one.hexdigest(), other.hexdigest())


def digest_file(path: Path) -> Digests:
    """Digest a file, in bounded memory.

    Raises:
        UsageError: there is no such file.
        StorageError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return digest_bytes(iter(lambda: file.read(_CHUNK), b""))
    except (FileNotFoundError, IsADirectoryError):
        raise UsageError(f"{printable(str(path))}: no such file; expected the file of a model") from None
    except OSError as error:
        raise StorageError(f"{printable(str(path))}: can't be read: {error.strerror}") from error


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> Digests:
    """Digest arrays by name, dtype, shape and value; the order of the mapping doesn't count."""
    return digest_bytes(array_stream(arrays))


def array_stream(arrays: Mapping[str, np.ndarray]) -> Iterator[bytes | memoryview]:
    """Yield the bytes that stand for arrays, as ``docs/attestation.md`` section 2 lays them out."""
    yield _DOMAIN + _u64(len(arrays))
    for name in sorted(arrays, key=str.encode):
        array = arrays[name]
        kind = array.dtype.name.encode()
        yield _text(name.encode()) + _text(kind) + _u64(array.ndim, *array.shape)
        whole = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        if whole.nbytes:
            flat = whole.reshape(-1).view(np.uint8).data
            yield from (flat[at : at + _CHUNK] for at in range(0, len(flat), _CHUNK))


def name_final(*, parameters: Digests, state: Digests, deployed: Path | None = None) -> tuple[Subject, ...]:
    """Return the subjects of a claim: final parameters, final state, and the deployed file if there is one.

    Raises:
        UsageError: the deployed file isn't there, or has a name that nobody can read.
        StorageError: it can't be read.
    """
    subjects = [Subject(PARAMETERS, parameters), Subject(STATE, state)]
    if deployed is not None:
        if not deployed.name.isprintable() or len(deployed.name) > MAX_NAME:
            raise UsageError(f"{printable(deployed.name)}: expected a name of at most {MAX_NAME} printable characters")
        subjects.append(Subject(deployed.name, digest_file(deployed)))
    return tuple(subjects)


def subject_entry(subject: Subject) -> dict[str, Any]:
    """Return a subject as in-toto writes it (a ResourceDescriptor)."""
    return {
        "digest": {"blake3": subject.digests.blake3, "sha256": subject.digests.sha256},
        "name": subject.name,
    }


def parse_subjects(entries: Any, where: str) -> tuple[Subject, ...]:
    """Return the subjects in untrusted JSON.

    Raises:
        ProofError: malformed, or a name stands twice.
    """
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_SUBJECTS:
        raise ProofError(where, f"subject: expected a list of 1 to {MAX_SUBJECTS} subjects")
    subjects = tuple(_parse_subject(entry, f"subject[{at}]", where) for at, entry in enumerate(entries))
    if len({subject.name for subject in subjects}) != len(subjects):
        raise ProofError(where, "subject: two subjects have one name")
    return subjects


def _parse_subject(entry: Any, field: str, where: str) -> Subject:
    digest = entry.get("digest") if isinstance(entry, dict) else None
    if not isinstance(digest, dict) or entry.keys() != {"digest", "name"} or digest.keys() != {"blake3", "sha256"}:
        raise ProofError(where, f"{field}: expected name and digest, with blake3 and sha256 and nothing else")
    name = entry["name"]
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise ProofError(where, f"{field}.name: expected 1 to {MAX_NAME} printable characters")
    for kind, value in digest.items():
        if not isinstance(value, str) or not _HEX.match(value):
            raise ProofError(where, f"{field}.digest.{kind}: expected 64 hex digits")
    return Subject(name, Digests(digest["blake3"], digest["sha256"]))


def _u64(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def _text(content: bytes) -> bytes:
    return _u64(len(content)) + content
