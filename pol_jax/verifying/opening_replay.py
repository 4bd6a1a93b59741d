"""Replay of an opening: each challenged step from its opened state, with the opened records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.program.artifact import executing
from pol_jax.progress import Progress
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.spans import Span
from pol_jax.training.initial_state import first_key, taken_of
from pol_jax.training.shards import layout_of
from pol_jax.training.witness import Witness
from pol_jax.verifying.copies import check_copies
from pol_jax.verifying.opening_checks import Opened
from pol_jax.verifying.row_comparison import RowComparer, placed_program, replay_steps

ReplaySpans: TypeAlias = Callable[[Opened, Claim, Sequence[Span], Progress], list[ReplayResult]]
"""This function replays spans of an opening of the claim: `replay_here`, or what shares the work among several
processes."""


def replay_here(opened: Opened, _claim: Claim, wanted: Sequence[Span], progress: Progress) -> list[ReplayResult]:
    """Replay each span in this process, for which the claim, that is checked already, isn't needed."""
    return replay_spans(opened, wanted, progress)


def replay_spans(opened: Opened, wanted: Sequence[Span], progress: Progress) -> list[ReplayResult]:
    """Replay each span from its opened state, with the opened records, against the opened rows.

    Raises:
        BackendError: the program can't be executed here.
    """
    program = placed_program(opened.program, opened.commitment)
    witness = Witness(
        layout_of(program),
        opened.records,
        # Stage 4 has checked that rows have a state digest exactly where section 5 asks for one.
        lambda step: opened.rows[step].state is not None,
        opened.commitment.row_layout,
    )
    results = list[ReplayResult]()
    # Each span from its own opened state: an error in one step must not make the next one false as well.
    for span in wanted:
        with executing(program.signature):
            state = program.put(opened.states[span.start].leaves)
        comparer = RowComparer(iter(opened.rows_of(span)), span)
        results.append(replay_steps(program, witness, state, opened.inputs(span), comparer))
        progress.at(len(results))
    return results


def initial_is_exact(opened: Opened) -> bool | None:
    """Return whether ``init`` gives the initial state under the key of step 0; None if that state was not opened.

    Raises:
        BackendError: the program can't be executed here.
    """
    if 0 not in opened.states:
        return None
    commitment = opened.commitment
    program = placed_program(opened.program, commitment)
    with executing(program.signature):
        given = taken_of(commitment, opened.states[0].leaves)
        started = program.start(first_key(commitment), given)
        check_copies(program.signature, started)
        state = layout_of(program).copy_of(started)
    return state.digest() == opened.rows[0].state
