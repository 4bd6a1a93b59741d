"""``pol attack`` forges a proof, and says what the rule of the 2021 paper makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pol_jax.attacks.attack import Attack, Setting
from pol_jax.attacks.catalogue import ATTACKS, attack_named
from pol_jax.attacks.paper_rule import PUBLISHED, PaperVerdict, judge_by_paper
from pol_jax.attacks.transcript import parameters_of, state_distance
from pol_jax.cli.cures import load_named
from pol_jax.cli.terminal import make_console, print_line, quiet_libraries
from pol_jax.errors import ACCEPTED, UsageError
from pol_jax.sandbox.proofs import open_apart
from pol_jax.storage.proof import Proof, open_proof


def attack_command(
    words: Sequence[str],
    out: Path,
    every: bool,
    task: str | None,
    data_dir: Path | None,
    d_ref: float | None,
    seed: int,
) -> int:
    """Forge by one attack, or by all that the task allows, and print what was made; return the exit code."""
    quiet_libraries()
    attacks, victim = _asked(words, every=every)
    console = make_console()
    with open_apart(victim) as opened:
        proof = opened.finished()
        named = task or proof.commitment.task.name
        loaded = load_named(named, data_dir, steps=proof.segments.steps)
        # The slack of the paper's rule is a share of d_ref, which takes a second training to measure.
        reference = d_ref or _moved(proof)
        if not d_ref:
            print_line(
                console, f"without --d-ref, the distance that the victim's parameters went is used: {reference:.3g}"
            )
        setting = Setting(proof, loaded, seed, PUBLISHED.slack * reference)
        for attack in attacks:
            try:
                _forge(console, attack, setting, out / attack.name if every else out, reference)
            except UsageError as error:
                if not every:
                    raise
                print_line(console, f"{attack.name}: not made: {error}")
    return ACCEPTED


def _forge(console: Console, attack: Attack, setting: Setting, out: Path, d_ref: float) -> None:
    if out.exists():
        raise UsageError(f"{out}: is there already; a forged proof needs a directory of its own")
    try:
        forged = attack.forge(setting, out)
    except UsageError:
        shutil.rmtree(out, ignore_errors=True)  # some tasks lack what an attack needs only once it has begun
        raise
    honest = f"{forged.gradients / max(1, setting.steps):.2f} of the victim's training"
    verdict = judge_by_paper(open_proof(out), forged.source, d_ref)
    print_line(console, f"{attack.name} ({attack.source}): {attack.makes}")
    print_line(console, f"written to {out}, at a cost of {forged.gradients} gradients, {honest}", indent=2)
    print_line(console, f"by the rule of the 2021 paper: {describe_rule(verdict)}", indent=2)


def describe_rule(verdict: PaperVerdict) -> str:
    """Return what the rule of the paper says, in words."""
    if verdict.accepted:
        return f"accepted, {verdict.replayed} updates replayed, the farthest {verdict.largest:.2g} d_ref away"
    return f"refused: {verdict.refusal}"


def _asked(words: Sequence[str], *, every: bool) -> tuple[Sequence[Attack], Path]:
    """Return the attacks and the proof that the words of the call name."""
    if every and len(words) == 1:
        return ATTACKS, Path(words[0])
    if not every and len(words) == 2:
        return [attack_named(words[0])], Path(words[1])
    names = ", ".join(attack.name for attack in ATTACKS)
    raise UsageError(f"expected pol attack NAME PROOF, or pol attack --all PROOF; NAME is one of {names}")


def _moved(proof: Proof) -> float:
    """Return the distance from the initial to the final parameters."""
    spec = proof.commitment.state
    ends = proof.host_leaves(0), proof.host_leaves(proof.segments.steps)
    return state_distance(spec, *ends, parameters_of(spec))
