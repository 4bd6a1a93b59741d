"""A worker: a process that replays a proof or an opening for the child that started it, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from pol_jax.errors import PolError, ProofError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol import claim as claims
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.spans import Span
from pol_jax.sandbox.messages import Came, Do, Failed, Hired
from pol_jax.sandbox.pipe import RemoteRecords, Telling, end_with
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.openings import read_opening
from pol_jax.verifying.checks import check_commitment
from pol_jax.verifying.opening_checks import (
    Opened,
    check_opened_commitment,
    check_opened_inputs,
    check_opened_rows,
    check_opened_states,
)
from pol_jax.verifying.opening_verifier import replay_spans
from pol_jax.verifying.replay import Replayer


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
    replay = _of_proof(telling, hired) if hired.opening is None else _of_opening(telling, hired)
    while True:
        telling.say(Came(replay(telling.receive(Do))))


def _of_proof(telling: Telling, hired: Hired) -> Callable[[Do], ReplayResult]:
    """Replays pieces of a proof, after stage 3 was done again: it is the one that was checked."""
    root, limits = Path(hired.path), Limits(**hired.limits)
    checked = check_commitment(root, _claim(root / claims.FILE, hired, limits), limits)
    data = checked.proof.commitment.data
    replayer = Replayer(checked, RemoteRecords(telling, data.record, data.records), hired.secret, telling)

    def replay(piece: Do) -> ReplayResult:
        (replayed,) = replayer.replay([Span(piece.start, piece.stop)])
        return replayed

    return replay


def _of_opening(telling: Telling, hired: Hired) -> Callable[[Do], ReplayResult]:
    """Replays spans of an opening, after stages 3 to 6 were done again."""
    limits = Limits(**hired.limits)
    claim, opening = _claim(Path(hired.path), hired, limits), read_opening(Path(hired.opening or ""), limits)
    commitment, program = check_opened_commitment(opening, claim, limits)
    rows = check_opened_rows(opening, commitment, claim)
    records = check_opened_inputs(opening, commitment, rows, [])
    opened = Opened(commitment, program, rows, records, check_opened_states(opening, commitment, rows))
    return lambda do: replay_spans(opened, [Span(do.start, do.stop)], telling)[0]


def _claim(path: Path, hired: Hired, limits: Limits) -> Claim:
    claim = Claim.parse(read_bounded(path.parent, path.name, limits))
    if claim.digest().hex() != hired.claim:
        raise ProofError(claims.FILE, "is another one than when it was checked")
    return claim
