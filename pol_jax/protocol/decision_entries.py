"""The entries of a step's decisions become arrays, and are compared with a program's sites (docs/protocol.md, 14.2).

`pol_jax.protocol.decisions` has the form in which an opening stores them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pol_jax.errors import ProofError
from pol_jax.protocol.decisions import MAX_ENTRIES, SiteEntries, StepDecisions
from pol_jax.protocol.trees import DTYPES


@dataclass(frozen=True)
class SiteKind:
    """A site kind says what entries of a site must look like: all that is known without running anything.

    Attributes:
        dtype: of its elements.
        size: number of elements.
        nested: whether it is in a loop or branch, so that a step has it any number of times.
    """

    dtype: str
    size: int
    nested: bool


@dataclass(frozen=True)
class Entries:
    """Entries are what an opening says of one site in one step.

    Attributes:
        indices: places of the elements, ascending; those of execution e begin at e times the size of the site.
        values: of the site's dtype.
    """

    indices: np.ndarray
    values: np.ndarray


EntriesBySite = Mapping[int, Entries]
"""These are the entries of one step, by the number of the site."""


def entries_by_site(step: StepDecisions, sites: Sequence[SiteKind], where: str) -> dict[int, Entries]:
    """Return the entries of a step as arrays.

    Args:
        step: the entries, which `pol_jax.protocol.decisions.check_decisions` let through.
        sites: of the program, by number.
        where: the file, for errors.

    Raises:
        ProofError: the program has no such site or element, or a value is not finite.
    """
    found = dict[int, Entries]()
    for each in step.sites:
        name = f"decisions: step {step.step}: site {each.site}"
        if each.site >= len(sites):
            raise ProofError(where, f"{name}: the program has {len(sites)} sites")
        kind = sites[each.site]
        indices = np.frombuffer(each.indices, "<u8").astype(np.int64)
        if len(each.values) != each.count * DTYPES[kind.dtype].itemsize:
            raise ProofError(where, f"{name}: values are not of {kind.dtype}")
        # In a loop, an element of any execution may be named: how many there are shows only when the program runs.
        if not kind.size or (not kind.nested and indices[-1] >= kind.size):
            raise ProofError(where, f"{name}: index {indices[-1]}: the site has {kind.size} elements")
        values = np.frombuffer(each.values, DTYPES[kind.dtype].newbyteorder("<")).astype(DTYPES[kind.dtype])
        # A value that is not finite is near no tie, and put into a program it would turn over whatever follows.
        if not np.isfinite(values.astype(np.float64)).all():
            raise ProofError(where, f"{name}: a value is not finite")
        found[each.site] = Entries(indices, values)
    return found


def step_decisions(step: int, entries: EntriesBySite) -> StepDecisions | None:
    """Return the entries of a step in the form of an opening; None if there are none, or more than one may have.

    Law: `entries_by_site` gives the same entries back.
    """
    sites = tuple(
        SiteEntries(site, each.indices.astype("<u8").tobytes(), _little_endian(each.values).tobytes())
        for site, each in sorted(entries.items())
        if len(each.indices)
    )
    return StepDecisions(step, sites) if 0 < count_entries(entries) <= MAX_ENTRIES else None


def count_entries(entries: EntriesBySite) -> int:
    """Return how many entries there are, at all sites."""
    return sum(len(each.indices) for each in entries.values())


def without(entries: EntriesBySite, others: EntriesBySite) -> dict[int, Entries]:
    """Return the entries whose site and index are not among the others'."""
    return _where(entries, others, inside=False)


def common(entries: EntriesBySite, others: EntriesBySite) -> dict[int, Entries]:
    """Return the entries whose site and index are among the others' too."""
    return _where(entries, others, inside=True)


def overlaid(entries: EntriesBySite, above: EntriesBySite) -> dict[int, Entries]:
    """Return all entries of both; where both have one, that of ``above``."""
    joined = dict(above)
    for site, each in without(entries, above).items():
        if site not in joined:
            joined[site] = each
            continue
        indices = np.concatenate([each.indices, joined[site].indices])
        # Entries of a site ascend, and those below `above` may lie anywhere between its own.
        order = np.argsort(indices)
        joined[site] = Entries(indices[order], np.concatenate([each.values, joined[site].values])[order])
    return joined


def _where(entries: EntriesBySite, others: EntriesBySite, *, inside: bool) -> dict[int, Entries]:
    kept = dict[int, Entries]()
    for site, each in entries.items():
        indices = each.indices
        common = np.isin(indices, others[site].indices) if site in others else np.zeros(len(indices), bool)
        wanted = common if inside else ~common
        if wanted.any():
            kept[site] = Entries(indices[wanted], each.values[wanted])
    return kept


def _little_endian(values: np.ndarray) -> np.ndarray:
    return values.astype(values.dtype.newbyteorder("<"), copy=False)
