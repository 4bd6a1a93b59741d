"""What is measured comes from an opening, which is checked first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from measured_backends import SOURCE, STEPS
from msgspec.structs import replace

from pol_jax.backends.workload import Workload, read_workload
from pol_jax.errors import ProofError, UsageError
from pol_jax.protocol.opening import OpenedState, Opening
from pol_jax.protocol.spans import Span
from pol_jax.proving.choices import Choices
from pol_jax.proving.opener import open_steps
from pol_jax.proving.train import train


def test_steps_in_a_row_are_a_segment(workload: Workload) -> None:
    assert workload.spans == tuple(Span(step - 1, step) for step in STEPS)
    assert workload.segments == ((Span(7, 8), Span(8, 9), Span(9, 10)),)


def test_part_of_an_opening(opening: Opening) -> None:
    assert read_workload(opening, (9,)).spans == (Span(8, 9),)
    with pytest.raises(UsageError, match="step 11: is not in the opening"):
        read_workload(opening, (9, 11))


def test_sparse_witnesses_and_private_records(tmp_path: Path) -> None:
    secret = b"s" * 32
    choices = Choices(interval=6, witness_interval=4, secret=secret)
    proof = train(tiny.plain(), tmp_path / "proof", steps=11, choices=choices)
    found = read_workload(open_steps(proof, SOURCE, (2, 5, 11), secret=secret))
    assert found.spans == (Span(0, 4), Span(4, 6), Span(8, 11))
    assert found.segments == ((Span(0, 4), Span(4, 6)),)
    assert [each.step for each in found.inputs()] == [1, 2, 3, 4, 5, 6, 9, 10, 11]


def flipped(content: bytes, at: int = 0) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def _with_state(opening: Opening, leaves: tuple[bytes, ...]) -> Opening:
    first, *rest = opening.states
    return replace(opening, states=(replace(first, leaves=leaves), *rest))


DAMAGES: dict[str, tuple[Callable[[Opening], Opening], str]] = {
    "state": (lambda o: _with_state(o, tuple(flipped(x) if x else x for x in o.states[0].leaves)), "row 0"),
    "state's size": (lambda o: _with_state(o, o.states[0].leaves[:-1]), "other sizes"),
    "record": (
        lambda o: replace(
            o, records=(replace(o.records[0], leaves=tuple(map(flipped, o.records[0].leaves))), *o.records[1:])
        ),
        r"records\[0\]: is not under the root",
    ),
    "loss": (lambda o: replace(o, rows=(*o.rows[:1], replace(o.rows[1], row=o.rows[1].row[:-1]), *o.rows[2:])), "row"),
    "row": (lambda o: replace(o, rows=(replace(o.rows[0], row=flipped(o.rows[0].row, 20)), *o.rows[1:])), "row 0"),
    "bytes of a row": (lambda o: replace(o, rows=(replace(o.rows[0], row=b"\xff" * 50), *o.rows[1:])), "is no row"),
    "step of a row": (
        lambda o: replace(o, rows=(*o.rows[:-1], replace(o.rows[-1], row=b"\xff" * 8 + o.rows[-1].row[8:]))),
        "no run has more",
    ),
    "loss left out": (
        lambda o: replace(o, rows=(*o.rows[:-1], replace(o.rows[-1], row=o.rows[-1].row[:-16] + bytes(8)))),
        "row 24: metrics: got 0, expected 2",
    ),
    "program": (lambda o: replace(o, step=flipped(o.step, 100)), "not the committed program"),
    "commitment": (lambda o: replace(o, commitment=b"{}"), "commitment.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_opening_is_not_measured(opening: Opening, damage: str) -> None:
    change, words = DAMAGES[damage]
    with pytest.raises(ProofError, match=words):
        read_workload(change(opening))


def test_states_far_apart_cost_nothing(opening: Opening) -> None:
    """The steps between them are not listed; and a state without its row is refused, as by a verification."""
    far = OpenedState(2**62, opening.states[0].leaves)
    for rows, states in ((opening.rows, opening.states), (opening.rows[:1], opening.states[:1])):
        with pytest.raises(ProofError, match=f"is not the state in row {2**62}"):
            read_workload(replace(opening, rows=rows, states=(*states, far)))


def test_an_opening_without_a_whole_step_has_nothing_to_measure(opening: Opening) -> None:
    with pytest.raises(UsageError, match="no step with the states before and after"):
        read_workload(replace(opening, rows=opening.rows[:1], states=opening.states[:1]))
