"""Every error of pol_jax is of one of these classes.

An error has a class (what went wrong), an exit code (what a script may do about it) and a text of one line: where the
problem is, what was found, what was expected, and what helps. A mistake of the caller, bad data and a failing machine
are different classes.
"""

from __future__ import annotations

import errno
import re

ACCEPTED, REJECTED, WRONG_INPUT, INCONCLUSIVE = 0, 1, 2, 3
"""The command line has these exit codes (section 13.2)."""

_LONGEST_TEXT = 500

# What a secret key looks like in text: an age identity, and a private key in PEM, whole or cut off.
_SECRETS = re.compile(
    r"AGE-SECRET-KEY-\w+|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL | re.IGNORECASE,
)

# Errors of the operating system and of libraries that say something about this machine, and nothing about a proof.
_MACHINE_ERRNOS = frozenset(
    {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM, errno.EAGAIN, errno.ENOSPC}
)
_MACHINE_TEXTS = ("can't start new thread", "Too many open files", "Cannot allocate memory", "RESOURCE_EXHAUSTED")


class PolError(Exception):
    """This is the base class of all errors of pol_jax; ``exit_code`` is the exit status of the process."""

    exit_code: int = WRONG_INPUT


class UsageError(PolError):
    """The call is wrong: it has a bad argument, or names a file that is missing or is no proof."""


class DataDirectoryError(UsageError):
    """A data set needs a directory as ``data_dir``: none was given, or the one that is used can't be written."""


class TaskError(PolError):
    """The task breaks its contract: for example, shapes change, ``loss`` is missing, or a leaf is no array."""


class UserCodeError(TaskError):
    """Code of the caller's own raised an exception: ``init``, ``step``, ``evaluate``, or the source of records.

    Its text says where in the caller's file that was. The exception itself is the cause of this one.
    """


class DataError(PolError):
    """The records are not those that the commitment fixed, or they are malformed."""


class StorageError(PolError):
    """The proof's directory can't be written or read: the disk is full, permissions are missing, or it is in use."""


class ProofError(PolError):
    """The bytes of a proof are malformed. It is raised where untrusted files are parsed.

    Its text may quote the proof. Therefore the text is cut to a fixed length, and control characters are escaped.

    Attributes:
        where: the file, relative to the proof's directory, and the field where there is one.
    """

    exit_code = REJECTED

    def __init__(self, where: str, problem: str) -> None:
        """Make an error that reports ``problem`` in the file ``where``."""
        super().__init__(f"{printable(where)}: {printable(problem)}")
        self.where = where


class DivergenceError(PolError):
    """A step that was computed again differs from the ledger: data were corrupted, or the machine is another one."""

    exit_code = REJECTED


class BackendError(PolError):
    """The jax of this machine can't run the program at all, because of its platform, version or memory."""

    exit_code = INCONCLUSIVE


class ProcessError(PolError):
    """Another process of the run has failed, or has not reported in time; what was recorded before stays usable."""


class PeerLostError(EOFError):
    """The process at the other end of a pipe is gone; nobody is there to read an error of the package."""


def unreadable(where: str, problem: str, error: BaseException) -> PolError:
    """Return the error to raise when a part of a proof can't be read because of ``error``.

    A machine that has run out of memory, threads or open files, or has a failing disk, says nothing about the proof:
    the result is then a `BackendError` (inconclusive). For any other cause it is a `ProofError` (rejected).
    """
    cause: BaseException | None = error
    while cause is not None:  # libraries wrap the system's error in errors of their own
        by_type = isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno in _MACHINE_ERRNOS)
        if by_type or any(text in str(cause) for text in _MACHINE_TEXTS):
            found = "out of memory" if isinstance(cause, MemoryError) else str(cause)  # libraries say it in many ways
            return BackendError(f"this machine can't read {printable(where)}: {printable(found)}")
        # Also what was raised while another error was handled: not every library says what its cause was.
        cause = cause.__cause__ or cause.__context__
    return ProofError(where, problem)


def printable(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return text that may quote a proof in a form that is safe to show: one short line without control characters.

    A secret key is not shown: who gives one in the place of a file's name must not find it in a log.
    """
    text = _SECRETS.sub("(a secret key)", text)
    short = text if len(text) <= longest else text[:longest] + "..."
    return short if short.isprintable() else short.encode("unicode_escape").decode("ascii")
