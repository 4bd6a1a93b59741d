"""A worker: a process that replays pieces of a proof for the child that started it, one at a time."""

from __future__ import annotations

from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from pol_jax import claim as claims
from pol_jax.checks import Checked, check_commitment
from pol_jax.claim import Claim
from pol_jax.errors import PolError, ProofError
from pol_jax.inventory import Limits, read_bounded
from pol_jax.messages import Came, Do, Failed, Hired
from pol_jax.replay import Replayer
from pol_jax.route import Piece
from pol_jax.telling import RemoteRecords, Telling, end_with


def work(handle: int, master: int) -> None:
    """Replay what is asked for on an inherited pipe, until it is closed.

    Args:
        handle: of the pipe.
        master: process that asks; when it is gone, so is the worker.
    """
    end_with(master)
    with Connection(handle) as connection, suppress(EOFError):
        telling = Telling(connection)
        try:
            _replay(telling, telling.receive(Hired))
        except PolError as error:
            telling.say(Failed(type(error).__name__, str(error)))


def _replay(telling: Telling, hired: Hired) -> None:
    checked = _opened(Path(hired.path), hired)
    data = checked.proof.commitment.data
    replayer = Replayer(checked, RemoteRecords(telling, data.record, data.records), hired.secret, telling)
    while True:
        piece = telling.receive(Do)
        for replayed in replayer.replay([Piece(piece.start, piece.stop)]):
            telling.say(Came(replayed))


def _opened(root: Path, hired: Hired) -> Checked:
    """The proof, with stage 3 done again: that it is the one that was checked."""
    limits = Limits(**hired.limits)
    claim = Claim.parse(read_bounded(root, claims.FILE, limits))
    if claim.digest().hex() != hired.claim:
        raise ProofError(claims.FILE, "is another one than when it was checked")
    return check_commitment(root, claim, limits)
