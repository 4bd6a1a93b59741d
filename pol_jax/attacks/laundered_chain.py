"""These attacks put a false proof before a true one: the child's steps are true, and so is what it says of its start.

They are this project's own, against the rules for earlier proofs (section 13.3). The parent is a straight line to the
stolen model (`pol_jax.attacks.interpolation`), and the child fine-tunes from its end. The forger shows the parent, or
keeps it back, which must leave the verdict inconclusive. In the form that is hardest to see, the
parent is a true run but for one step (`pol_jax.attacks.blindfold`): whoever looks at the child alone sees only true
steps, and whoever draws from the parent meets the false one with the announced probability alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from pol_jax.attacks.attack import Attack, Forged, Setting, of_length
from pol_jax.attacks.blindfold import poison_one
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.interpolation import interpolate
from pol_jax.attacks.transcript import execute
from pol_jax.proving.fine_tuning import Start
from pol_jax.storage.proof import open_proof


def _launder(setting: Setting, out: Path, make: Callable[[Setting, Path], Forged] = interpolate) -> Forged:
    parent = make(setting, out.with_name(f"{out.name}.parent"))
    task = of_length(setting.task, 2 * setting.interval)
    start = Start(open_proof(parent.root))
    proof = FalseProof.begin(out, task, setting.interval, setting.named(", child"), start=start)
    # The child is honest: its inputs and its initial state, the parent's leaves among it, are the committed ones.
    transcript = execute(proof.program, proof.initial, proof.inputs)
    proof.write(transcript)
    gradients = parent.gradients + proof.steps
    return Forged(out, task, transcript, (), gradients, parents=(parent.root,), parent_steps=parent.false_steps)


def _launder_silently(setting: Setting, out: Path) -> Forged:
    return replace(_launder(setting, out), parents=(), parent_steps=())


def _launder_one_step(setting: Setting, out: Path) -> Forged:
    return _launder(setting, out, poison_one)


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
    Attack(
        "laundered-step",
        "own",
        "the forger trains, and replaces one step of an earlier run",
        "a true fine-tuning from the end of a run that is true but for one step, which is shown",
        _launder_one_step,
    ),
)
