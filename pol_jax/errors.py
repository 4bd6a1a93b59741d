"""Every way in which pol_jax says no.

An error has a class (what went wrong), an exit code (what a script may do about it) and one line of text: what was
got, what was expected, where, and the cure. A bug of the caller, bad data and a failing machine are different classes.
"""

from __future__ import annotations

import errno

ACCEPTED, REJECTED, WRONG_INPUT, INCONCLUSIVE = 0, 1, 2, 3
"""The exit codes of the command line."""

_MOST_TEXT = 500


_MACHINE_ERRNOS = frozenset(
    {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM, errno.EAGAIN, errno.ENOSPC}
)
_MACHINE_TEXTS = ("can't start new thread", "Too many open files", "Cannot allocate memory", "RESOURCE_EXHAUSTED")


class PolError(Exception):
    """Base of all errors of pol_jax; ``exit_code`` is the process's exit status."""

    exit_code: int = WRONG_INPUT


class UsageError(PolError):
    """The call is wrong: an argument, a missing file, a path that is not a proof."""


class TaskError(PolError):
    """The task breaks its contract: shapes change, ``loss`` is missing, a leaf is no array."""


class DataError(PolError):
    """The source of records is not the one that the commitment fixed, or its records are malformed."""


class StorageError(PolError):
    """The proof's directory can't be written or read: full disk, read-only, permissions, in use."""


class ProofError(PolError):
    """A proof's bytes are malformed. Raised at the border where untrusted files are parsed.

    Its text may quote the proof: it is cut, and shows no control characters.

    Attributes:
        where: the file, relative to the proof's directory, and the field where there is one.
    """

    exit_code = REJECTED

    def __init__(self, where: str, problem: str) -> None:
        """Say ``problem`` at ``where``."""
        super().__init__(f"{printable(where)}: {printable(problem)}")
        self.where = where


class DivergenceError(PolError):
    """A recomputed step differs from the ledger: silent data corruption, or another machine."""

    exit_code = REJECTED


class BackendError(PolError):
    """This machine's jax can't run the program at all (platform, version, memory)."""

    exit_code = INCONCLUSIVE


def unreadable(where: str, problem: str, error: BaseException) -> PolError:
    """What to raise when something of a proof can't be read because of ``error``.

    A proof is not to blame for a machine without memory, threads, open files or a healthy disk: that is a
    `BackendError`. Anything else is a `ProofError`.
    """
    seen: BaseException | None = error
    while seen is not None:
        mine = isinstance(seen, MemoryError) or (isinstance(seen, OSError) and seen.errno in _MACHINE_ERRNOS)
        if mine or any(text in str(seen) for text in _MACHINE_TEXTS):
            return BackendError(
                f"this machine can't read {printable(where)}: {printable(str(seen) or 'out of memory')}"
            )
        seen = seen.__cause__ or seen.__context__
    return ProofError(where, problem)


def printable(text: str, most: int = _MOST_TEXT) -> str:
    """Text that may quote a proof, as a terminal may show it: one line, no control characters, not too long."""
    short = text if len(text) <= most else text[:most] + "..."
    return short if short.isprintable() else short.encode("unicode_escape").decode("ascii")
