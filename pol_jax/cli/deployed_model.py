"""This module ties a deployed model to the final parameters of a proof that was verified: ``pol verify --model``."""

from __future__ import annotations

from pathlib import Path

import click

from pol_jax.attesting.leaf_match import LeafMatch, plain_name
from pol_jax.attesting.matching import match_model
from pol_jax.attesting.weights import Weights
from pol_jax.errors import ACCEPTED, REJECTED, ProofError, printable
from pol_jax.protocol import claim as claims
from pol_jax.reports.report import Report
from pol_jax.storage.final_arrays import Arrays, read_final_state, select_parameters
from pol_jax.storage.proof import open_proof

_MOST_LEAVES = 20
"""So many leaves that are not simply equal are shown."""


def compare_model(model: Weights, path: Path, report: Report, *, stderr: bool) -> int:
    """Print how a model relates to the final parameters, and return an exit code.

    Args:
        model: arrays of the model by name.
        path: the proof that was verified.
        report: of that verification; what is compared is what it accepted.
        stderr: print on standard error.

    Raises:
        ProofError: the proof was changed after it was verified.
    """
    if report.verdict.exit_code != ACCEPTED:
        click.echo("The model was not compared: the proof is not accepted.", err=stderr)
        return report.verdict.exit_code
    proof = open_proof(path)
    if proof.claim is None or proof.claim.digest().hex() != report.claim:
        raise ProofError(claims.FILE, "is not the claim that was verified; was the proof changed meanwhile?")
    match = match_model(model, _sought(model, read_final_state(proof)))
    click.echo(match.describe(), err=stderr)
    told = [leaf for leaf in match.leaves if not _is_plain(leaf)]
    for leaf in told[:_MOST_LEAVES]:
        click.echo(f"  {printable(leaf.describe())}", err=stderr)
    if len(told) > _MOST_LEAVES:
        click.echo(f"  {len(told) - _MOST_LEAVES} more leaves are not shown", err=stderr)
    return ACCEPTED if match.is_equal or match.is_cast else REJECTED


def _sought(model: Weights, state: Arrays) -> Arrays:
    """Return the final parameters, and what else of the final state the model names, such as batch statistics."""
    named = {plain_name(name) for name in model}
    return select_parameters(state) | {path: values for path, values in state.items() if plain_name(path) in named}


def _is_plain(leaf: LeafMatch) -> bool:
    """Say whether a leaf is in the model under its name, unchanged."""
    unchanged = leaf.axes is None and leaf.cast is None and leaf.distance is None
    return leaf.name is not None and leaf.leaf is not None and not leaf.is_renamed and unchanged
