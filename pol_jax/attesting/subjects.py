"""The subjects of an attestation are the things that it is about, each by a name and two digests of its bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pol_jax.attesting.digests import Digests, digest_file
from pol_jax.errors import ProofError, UsageError, printable

PARAMETERS: Final = "final parameters"
STATE: Final = "final state"
COMMITMENT: Final = "commitment.json"

MAX_SUBJECTS: Final = 64
MAX_NAME: Final = 256

_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Subject:
    """A subject is one thing that is attested.

    Attributes:
        name: `PARAMETERS`, `STATE`, `COMMITMENT`, or the base name of a file.
        digests: of its bytes.
    """

    name: str
    digests: Digests


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
        ProofError: malformed, or a name occurs twice.
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
