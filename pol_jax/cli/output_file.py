"""Commands write small files that are new, outside the directories of proofs, and whole or not at all.

The envelope of a proof lies beside it: ``proof.claim.dsse.json`` beside the directory ``proof``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pol_jax.errors import StorageError, UsageError, printable
from pol_jax.files import write_whole

SUFFIX: Final = ".claim.dsse.json"


def envelope_beside(proof: Path) -> Path:
    """Return the place of a proof's envelope."""
    if proof.name not in {"", ".."}:
        return proof.with_name(proof.name + SUFFIX)
    root = Path(os.path.abspath(proof))  # "." and ".." have no name
    return root.with_name(root.name + SUFFIX)


def proof_beside(envelope: Path) -> Path | None:
    """Return the directory of the proof that an envelope is named after, or None if there is none."""
    name = envelope.name.removesuffix(SUFFIX)
    proof = envelope.with_name(name) if name and name != envelope.name else None
    return proof if proof is not None and proof.is_dir() else None


def check_new(path: Path) -> None:
    """Refuse to write where something is, or in the directory of a proof, which takes no other files.

    Raises:
        UsageError: ``path`` is such a place.
    """
    where = printable(str(path))
    if path.exists() or path.is_symlink():
        raise UsageError(f"{where}: exists already; choose another name")
    for folder in path.absolute().parents:
        if (folder / "commitment.json").exists() and (folder / "program").is_dir():
            raise UsageError(
                f"{where}: lies in the directory of a proof, which takes no other files; choose a place outside"
            )


def check_writable(path: Path) -> None:
    """Check that a file can be written, before the work whose result it shall have; an existing one is not changed.

    Raises:
        StorageError: it can't be written.
    """
    try:
        existed = path.exists() or path.is_symlink()
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise StorageError(f"{printable(str(path))}: can't be written: {error.strerror}") from error


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is new.

    Raises:
        UsageError: see `check_new`.
        StorageError: it can't be written.
    """
    check_new(path)
    try:
        write_whole(path, content)
    except OSError as error:
        raise StorageError(f"{printable(str(path))}: can't be written: {error.strerror}") from error
