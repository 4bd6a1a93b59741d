"""A false proof as the parent of a true one: the child's steps are all true, and so is what it says about its start.

This is this project's own. The parent is a straight line to the stolen model (`pol_jax.attacks.interpolation`), and the
child fine-tunes from its end. The forger shows the parent, or keeps it back.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from pol_jax.attacks.attack import Attack, Forged, Setting, of_length
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.interpolation import interpolate
from pol_jax.attacks.transcript import execute
from pol_jax.proving.fine_tuning import Start
from pol_jax.storage.proof import open_proof


def _launder(setting: Setting, out: Path) -> Forged:
    parent = interpolate(setting, out.with_name(f"{out.name}.parent"))
    task = of_length(setting.task, 2 * setting.interval)
    start = Start(open_proof(parent.root))
    proof = FalseProof.begin(out, task, setting.interval, setting.named(", child"), start=start)
    transcript = execute(proof.program, proof.initial, proof.inputs)
    proof.write(transcript)
    return Forged(out, task, transcript, (), proof.steps, parents=(parent.root,))


def _launder_silently(setting: Setting, out: Path) -> Forged:
    return replace(_launder(setting, out), parents=())


ATTACKS: Final = (
    Attack(
        "laundered-chain",
        "own",
        "the final model",
        "a true fine-tuning from the end of a false proof, which is shown",
        _launder,
    ),
    Attack(
        "laundered-chain-without-parent",
        "own",
        "the final model",
        "a true fine-tuning from the end of a false proof, which is kept back",
        _launder_silently,
    ),
)
