"""Decisions say what the prover's values were where a choice of its program hung on rounding (docs/protocol.md, 14.2).

They are part of an opening. An entry is a value and no outcome: a verifier puts it in the place of its own value where
that is as near to the same tie, so that the choice is the prover's, and nothing moves by more than rounding does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Final

import msgspec
import numpy as np

from pol_jax.errors import ProofError
from pol_jax.protocol.keys import MAX_STEPS

MAX_ENTRIES: Final = 2**20
"""A step has at most this many entries at all its sites together."""

_MAX_INDEX: Final = 2**48
_WIDTHS: Final = (2, 4, 8)
"""A value has as many bytes as an element of a floating-point type."""


class SiteEntries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Site entries are those at one site of a program, which is an operand of an operation that decides.

    Attributes:
        site: number of the site, in the order in which the program is read.
        indices: the elements, strictly ascending; ``u64`` each.
        values: what the prover's operand was at each of them; little-endian elements of the operand's type.
    """

    site: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    indices: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8 * MAX_ENTRIES)]
    values: Annotated[bytes, msgspec.Meta(min_length=2, max_length=8 * MAX_ENTRIES)]

    @property
    def count(self) -> int:
        """Return how many entries there are."""
        return len(self.indices) // 8


class StepDecisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Step decisions are the entries of one step, ascending by site, none twice."""

    step: Annotated[int, msgspec.Meta(ge=1, le=MAX_STEPS)]
    sites: Annotated[tuple[SiteEntries, ...], msgspec.Meta(min_length=1, max_length=2**16)]


def check_decisions(decisions: tuple[StepDecisions, ...], where: str) -> None:
    """Refuse decisions that break a rule which their types can't express.

    Raises:
        ProofError: something doesn't ascend, a length is wrong, or there are too many entries.
    """
    for problem in _problems(decisions):
        raise ProofError(where, f"decisions: {problem}")


def _problems(decisions: tuple[StepDecisions, ...]) -> Iterator[str]:
    if any(a.step >= b.step for a, b in pairwise(decisions)):
        yield "steps don't ascend"
    for each in decisions:
        where = f"step {each.step}"
        if any(a.site >= b.site for a, b in pairwise(each.sites)):
            yield f"{where}: sites don't ascend"
        for site in each.sites:
            if problem := _problem_of(site):
                yield f"{where}: site {site.site}: {problem}"
        if sum(site.count for site in each.sites) > MAX_ENTRIES:
            yield f"{where}: more than {MAX_ENTRIES} entries"


def _problem_of(entries: SiteEntries) -> str | None:
    if len(entries.indices) % 8:
        return "indices are not of 8 bytes each"
    indices = np.frombuffer(entries.indices, "<u8")
    if indices[-1] >= _MAX_INDEX or (indices[1:] <= indices[:-1]).any():
        return "indices don't ascend, or are out of bounds"
    # Which width it must be only the program tells (`entries_by_site`).
    if len(entries.values) not in {entries.count * width for width in _WIDTHS}:
        return "there is not one value for each index"
    return None
