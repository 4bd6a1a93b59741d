"""These rules say which of two claims stands, from the reports on them alone (docs/attestation.md, section 10).

The rules are applied in order, and the first that applies decides. No time and no signature stands against a proof that
verifies; nothing stands for the holder of files, only for the prover whom a commitment names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pol_jax.judging.party import Party
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.wording.notices import first_reason


class Standing(StrEnum):
    """A standing says whose claim stands."""

    FIRST = "the first stands"
    SECOND = "the second stands"
    BOTH = "both stand"
    NEITHER = "neither stands"
    UNDECIDED = "it can't be decided"


@dataclass(frozen=True)
class Resolution:
    """A resolution says whose claim stands and why.

    Attributes:
        standing: whose.
        reasons: why, one line each.
    """

    standing: Standing
    reasons: tuple[str, ...]


def resolve(first: Party, second: Party) -> Resolution:
    """Return which of two claims stands. Law: exchanging the parties exchanges first and second in the standing."""
    for rule in _RULES:
        # Each rule both ways before the next one: the order of the rules decides, and never that of the parties.
        for one, other, stands in ((first, second, Standing.FIRST), (second, first, Standing.SECOND)):
            if found := rule(one, other):
                standing, reasons = found
                loses = Standing.SECOND if stands is Standing.FIRST else Standing.FIRST
                places = {_ONE: stands, _OTHER: loses}
                return Resolution(places.get(standing, standing), (*reasons, *_limits(one, other)))
    raise AssertionError("the last rule always applies")


_Found = tuple[Standing, tuple[str, ...]] | None
_ONE: Final = Standing.FIRST
"""A rule returns this if the party stands that it names first."""
_OTHER: Final = Standing.SECOND
"""A rule returns this if the party stands that it names second."""


def _verdicts(one: Party, other: Party) -> _Found:
    """Rule 1: a proof that is not accepted doesn't stand, whatever its times and signatures."""
    verdict, others = one.report.verdict, other.report.verdict
    why = first_reason(one.report)
    if verdict is Verdict.ACCEPTED and others is Verdict.REJECTED:
        return _ONE, (f"{other} is rejected: {first_reason(other.report)}", f"{one} is accepted")
    if verdict is others is Verdict.REJECTED:
        return Standing.NEITHER, tuple(f"{each} is rejected: {first_reason(each.report)}" for each in (one, other))
    if verdict is Verdict.INCONCLUSIVE and _made_alone(other, one):
        words = f"{one} is inconclusive, but even if it is true, it ends in other parameters: {why}"
        return _OTHER, (words, f"the model at hand is the final one of {other}, bit for bit")
    if verdict is Verdict.INCONCLUSIVE and not (others is Verdict.ACCEPTED and one.is_of_the_run_of(other)):
        words = f"{one} is inconclusive, so it may be true: {why}"
        decides = f"the two end in different models: a model at hand that is the final one of {other} would decide"
        # Without a model there may be two true trainings: that one of them can't be judged here refutes it in nothing.
        return Standing.UNDECIDED, (words, decides) if other.fits is None and other.is_independent_of(one) else (words,)
    return None


def _made_alone(one: Party, other: Party) -> bool:
    """Return whether the model at hand is one's, by a training that nothing about the other could call in question."""
    deployed = one.report.deployed
    return deployed is not None and deployed.difference == "equal" and one.is_independent_of(other)


def _one_claim(one: Party, other: Party) -> _Found:
    """Rule 2: proofs of one commitment stand for the prover whom it names, whoever holds them.

    A claim says where it was made, on the word of whoever writes it, so a copy may have a claim of its own.
    """
    if not one.is_of_the_run_of(other):
        return None
    prover = one.prover or other.prover
    if prover is None:
        words = "both are copies of one anonymous proof: anyone can sign it, and nobody is shown as its prover"
        return Standing.UNDECIDED, (words,)
    words = f"both are copies of one proof, which is that of {prover}, whoever holds them"
    if one.report.claim != other.report.claim:
        words = f"both are of one commitment, which is that of {prover}, whoever holds them"
    shown = [party.is_signed and party.report.verdict is Verdict.ACCEPTED for party in (one, other)]
    if shown[0] == shown[1]:
        return Standing.BOTH, (words,)
    if shown[0]:
        return _ONE, (words, f"only {one} is accepted with their signature")
    return None


def _one_prover(one: Party, other: Party) -> _Found:
    """Rule 3: two proofs that one key made and signed are no dispute."""
    if one.is_signed and other.is_signed and one.prover == other.prover:
        return Standing.BOTH, (f"both are of the prover {one.prover}, who signed both",)
    return None


def _descent(one: Party, other: Party) -> _Found:
    """Rule 4: who begins with the other's final model shows only what was done to it afterwards."""
    if other.descends_from(one):
        words = f"{other} begins with the final state of {one}, which its own commitment names"
    elif not other.begins_in_other:
        return None
    elif doubt := _may_end_in_given_weights(one, other):
        return Standing.UNDECIDED, (f"{other} begins with the final parameters of {one}, {doubt}",)
    else:
        words = f"{other} begins with weights of unproven origin, and these are the final parameters of {one}"
    return _ONE, (words, f"{other} is true, and shows only what was done afterwards")


def _may_end_in_given_weights(one: Party, other: Party) -> str | None:
    """Return why one's run may have been made to end in weights that the other begins with; None if it can't have been.

    A run that begins with weights may end in them: a first step of a warm-up changes nothing.
    """
    if not one.is_compared:
        return (
            "whose program was compared with no source: it may be written to end in given weights; name the task that"
            " you trust"
        )
    if one.origin_is_shown or one.was_before(other):
        return None
    given = "was given values from outside its program" if one.report.interventions else "begins with weights itself"
    return f"which {given}, so that it may have been made to end in them; no time shows that it was there first"


def _unproven(one: Party, other: Party) -> _Found:
    """Rule 5: a proof that begins with weights of unproven origin doesn't show where a model comes from."""
    if other.origin_is_shown:
        return None
    given = "was given" if other.report.interventions else "begins with"
    words = f"{other} {given} weights of which nothing shows where they come from"
    if one.fits and not other.fits and one.origin_is_shown and one.is_compared:
        return _ONE, (words, f"the model at hand is the final one of {one}")
    if other.report.interventions:
        return Standing.UNDECIDED, (words,)
    return Standing.UNDECIDED, (words, f"they are not the final parameters of {one}, bit for bit")


def _model(one: Party, other: Party) -> _Found:
    """Rule 6: the model at hand is that of one of them, of both or of neither."""
    if one.fits is None or other.fits is None:
        return None
    if not one.fits and not other.fits:
        return Standing.NEITHER, ("the model at hand is the final one of neither",)
    if one.fits and not other.fits:
        words = f"the model at hand is the final one of {one}, and not of {other}"
        if not one.is_compared:
            return Standing.UNDECIDED, (words, _may_be_made_up(one))
        if one.prover is None:
            return Standing.UNDECIDED, (words, f"{one} names no prover, so nobody is shown to have made it")
        return _ONE, (words,)
    return None


def _one_model(one: Party, other: Party) -> _Found:
    """Rule 7: of two proofs that end in one model, the one stands that was there before the other began."""
    same = one.fits and other.fits
    own, others = one.report.model, other.report.model
    if not same and (own is None or others is None or own.blake3 is None or own.blake3 != others.blake3):
        return None
    words = "both end in the same final parameters"
    if one.is_compared != other.is_compared:
        trusted, made_up = (one, other) if one.is_compared else (other, one)
        return (_ONE, (words, _may_be_made_up(made_up))) if trusted is one else None
    if one.is_compared and one.prover is not None and one.was_before(other):
        return _ONE, (words, f"{one} was timestamped before {other} can have begun")
    if other.was_before(one):
        return None  # the same, seen from the other side, or nothing more
    return Standing.UNDECIDED, (words, "and nothing that is shown says which was there first, and whose it is")


def _own_models(one: Party, other: Party) -> _Found:
    """Rule 8: two trainings are two trainings; one that names nobody stands for nobody."""
    words = "both are true, and they are two trainings with two final models"
    if one.prover is not None and other.prover is not None:
        return Standing.BOTH, (words,)
    if one.prover is not None:
        return _ONE, (words, f"{other} is anonymous: whoever holds it, it shows nobody's training")
    if other.prover is None:
        return Standing.UNDECIDED, (words, "and both are anonymous: they show nobody's training")
    return None


_RULES: Final[tuple[Callable[[Party, Party], _Found], ...]] = (
    _verdicts,
    _one_claim,
    _one_prover,
    _descent,
    _unproven,
    _model,
    _one_model,
    _own_models,
)


def _limits(one: Party, other: Party) -> tuple[str, ...]:
    """Return what limits any standing: keys without a signature, in the order of names."""
    parties = sorted((one, other), key=lambda party: party.name)
    return tuple(
        f"{each} names {each.prover}, whose signature over the claim is missing"
        for each in parties
        if each.report.verdict is Verdict.ACCEPTED and each.prover is not None and not each.is_signed
    )


def _may_be_made_up(party: Party) -> str:
    return (
        f"the program of {party} was compared with no source that is trusted: it may be written to end in given weights"
    )
