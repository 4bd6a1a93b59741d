"""This section shows the prover's environment beside the verifier's, and marks what differs."""

from __future__ import annotations

from collections.abc import Sequence

from pol_jax.protocol.environment import differing_environment_fields
from pol_jax.reports.html.markup import Content, Markup, tag, together
from pol_jax.reports.report import Report


def environments(report: Report) -> Markup:
    """Return the section."""
    theirs, ours = report.claimed_environment, report.environment
    names = ours.__struct_fields__
    different = differing_environment_fields(theirs, ours) if theirs else []
    pairs = [(name, getattr(theirs, name) if theirs else None, getattr(ours, name)) for name in names]
    heads = (tag("th", head, scope="col") for head in ("", "Prover, as claimed", "Verifier"))
    rows = (_row(name, claimed, own, name in different) for name, claimed, own in pairs)
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="sides")
    return tag("section", tag("h2", "Environments"), tag("p", _summary(different) if theirs else _UNKNOWN), table)


_UNKNOWN = "The claim could not be read, so the prover's environment is not known."


def _summary(different: Sequence[str]) -> str:
    if not different:
        return "The two environments are the same in everything that decides bits."
    return f"The two environments differ in {', '.join(map(_label, different))}."


def _row(name: str, claimed: object, own: object, differs: bool) -> Markup:
    sign = tag("span", "\u2260 differs", class_="differs") if differs else None
    return tag(
        "tr",
        tag("th", _label(name), sign, scope="row"),
        tag("td", _value(claimed, own, differs), data_side="Prover"),
        tag("td", _value(own, claimed, differs), data_side="Verifier"),
        class_="different" if differs else None,
    )


def _value(value: object, other: object, differs: bool) -> Content:
    """Return a value, marked if it differs; in a list, the words that the other side lacks are marked."""
    if value is None:
        return "\u2013"
    if not isinstance(value, tuple):
        return tag("mark", str(value)) if differs else str(value)
    # Where the other side is not known, no word is marked as one that it lacks.
    others = set(other) if isinstance(other, tuple) else set(value)
    words = [word if word in others else tag("mark", word) for word in value]
    return together(*(part for word in words for part in (word, " "))) if words else "none"


def _label(name: str) -> str:
    return name.replace("_", " ")
