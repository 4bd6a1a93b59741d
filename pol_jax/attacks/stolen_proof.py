"""These attacks sign a stolen proof again, continue it, cut it together with another run, or start from its model.

Jia et al. (IEEE S&P 2021, section VI) name them; D. Choi et al. (NeurIPS 2023) call two runs that are cut together
glued. Seed grinding (Choi et al.) needs no theft: of many commitments, the one that begins nearest to a model is kept.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax.attacks.attack import Attack, Forged, Setting, of_length
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.transcript import execute, invented, line, parameters_of, state_distance
from pol_jax.attesting import folder
from pol_jax.attesting.attestation import attest_claim
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.subjects import name_final
from pol_jax.errors import UsageError
from pol_jax.files import write_whole
from pol_jax.protocol.trees import HostLeaves
from pol_jax.proving.fine_tuning import Start
from pol_jax.storage.final_arrays import read_final_state, select_parameters
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.pytrees import nested

COMMITMENTS: Final = 16
"""A forger who grinds seeds tries this many nonces."""


def _sign_again(setting: Setting, out: Path) -> Forged:
    """Copy the proof of a prover who has committed to a key, and sign its claim with a key of the thief's own."""
    if setting.victim.commitment.prover is None:
        raise UsageError("stolen-proof-signed-again: needs the proof of a prover who has committed to a key")
    return _signed_copy(setting, out)


def _sign_keyless(setting: Setting, out: Path) -> Forged:
    """Copy the proof of a prover without a key, and sign its claim."""
    if setting.victim.commitment.prover is not None:
        raise UsageError("keyless-proof-signed-again: needs the proof of a prover without a key")
    return _signed_copy(setting, out)


def _signed_copy(setting: Setting, out: Path) -> Forged:
    shutil.copytree(setting.victim.root, out)
    key = Ed25519PrivateKey.from_private_bytes(setting.seed.to_bytes(32, "little"))
    state, claim = read_final_state(setting.victim), setting.victim.finished().claim
    subjects = name_final(parameters=digest_arrays(select_parameters(state)), state=digest_arrays(state), deployed=None)
    # Two envelopes of different keys beside one proof are refused (attestation.md, section 8.1): the prover's goes.
    shutil.rmtree(out / folder.DIRECTORY, ignore_errors=True)
    write_whole(folder.attestation_path(out, folder.CLAIM), attest_claim(claim.encode(), subjects, key, None))
    return Forged(out, setting.task, None, (), 0)


def _stolen_inputs(setting: Setting) -> list[StepInput]:
    return list(step_inputs(setting.victim.commitment, setting.task.source, 1, setting.steps + 1))


def _continue(setting: Setting, out: Path) -> Forged:
    """Say that the victim's run is the forger's own, and train a segment more.

    The states of the victim's steps are executed again here; a thief copies their digests from the ledger.
    """
    total = setting.steps + setting.interval
    proof = FalseProof.begin(out, of_length(setting.task, total), setting.interval, setting.named())
    stolen = execute(proof.program, setting.beginning, _stolen_inputs(setting))
    own = execute(proof.program, stolen.states[-1], proof.inputs[setting.steps :])
    transcript = stolen.then(own)
    proof.write(transcript)
    return Forged(out, proof.task, transcript, tuple(range(1, setting.steps + 1)), setting.interval)


def _glue(setting: Setting, out: Path) -> Forged:
    """Train the first half, and lead over to the second half of the victim's run by pieces shorter than the slack."""
    places, spec, interval = parameters_of(setting.spec), setting.spec, setting.interval
    cut = setting.steps // (2 * interval) * interval  # a checkpoint: the victim's proof holds no other states
    between = setting.victim.host_leaves(cut)
    # The number of steps must be committed to before the own first state is known, since it decides the key of that
    # state. Two states are no farther apart than over the origin; the own norm is taken as 1.2 times the victim's.
    far = _norm(setting, between, places) + 1.2 * _norm(setting, setting.beginning, places)
    bridge = interval * max(1, int(np.ceil(2 * far / setting.slack)))
    proof = FalseProof.begin(out, of_length(setting.task, setting.steps + bridge), interval, setting.named())
    own = execute(proof.program, proof.initial, proof.inputs[:cut])
    states = line(spec, own.states[-1], between, bridge)
    over = invented(states, proof.inputs[cut : cut + bridge], len(proof.program.signature.metrics))
    stolen = execute(proof.program, between, _stolen_inputs(setting)[cut:])
    inputs = tuple(
        # The victim's batches and keys, at later places of a longer run: stage 5 finds that others were committed.
        replace(each, step=given.step)
        for each, given in zip(stolen.inputs, proof.inputs[cut + bridge :], strict=True)
    )
    transcript = own.then(over).then(replace(stolen, inputs=inputs))
    proof.write(transcript)
    return Forged(out, proof.task, transcript, tuple(range(cut + 1, proof.steps + 1)), cut)


def _norm(setting: Setting, state: HostLeaves, places: tuple[int, ...]) -> float:
    return state_distance(setting.spec, [np.zeros_like(leaf) for leaf in state], state, places)


def _from_weights(setting: Setting, out: Path) -> Forged:
    """Say that the stolen weights are the initial state that the key gives, and train a few segments more."""
    proof = FalseProof.begin(out, of_length(setting.task, 4 * setting.interval), setting.interval, setting.named())
    # Keys and counters stay those of the forger's own commitment; the parameters alone are stolen.
    first = list(proof.initial)
    for at in parameters_of(setting.spec):
        first[at] = setting.target[at]
    transcript = execute(proof.program, first, proof.inputs)
    proof.write(transcript)
    return Forged(out, proof.task, transcript, (0,), proof.steps)


def _declared_weights(setting: Setting, out: Path) -> Forged:
    """Start from the stolen weights and say so: everything is true, and they are of unproven origin."""
    places = parameters_of(setting.spec)
    tree = nested(tuple(setting.spec[at] for at in places), [setting.target[at] for at in places])
    task = of_length(setting.task, 4 * setting.interval)
    proof = FalseProof.begin(out, task, setting.interval, setting.named(), start=Start(tree))
    transcript = execute(proof.program, proof.initial, proof.inputs)
    proof.write(transcript)
    return Forged(out, proof.task, transcript, (), proof.steps)


def _grind(setting: Setting, out: Path) -> Forged:
    """Commit many times, keep the commitment whose initial state is nearest to the stolen model, and train truly."""
    places = parameters_of(setting.spec)

    def begin(number: int, where: Path) -> FalseProof:
        task = of_length(setting.task, setting.steps)
        return FalseProof.begin(where, task, setting.interval, setting.named(f", try {number}"))

    def far(number: int) -> float:
        place = out.with_name(f"{out.name}.try")
        found = begin(number, place)
        # Only the number is remembered: the best try is committed to again, in the directory of the proof.
        distance = state_distance(setting.spec, found.initial, setting.target, places)
        shutil.rmtree(place)
        return distance

    proof = begin(min(range(COMMITMENTS), key=far), out)
    transcript = execute(proof.program, proof.initial, proof.inputs)
    proof.write(transcript)
    return Forged(out, proof.task, transcript, (), proof.steps)


ATTACKS: Final = (
    Attack(
        "glued-runs",
        "Choi et al., NeurIPS 2023",
        "all states of the victim",
        "the victim's second half behind a first half of the forger's own, with a straight line between",
        _glue,
    ),
    Attack(
        "stolen-proof-signed-again",
        "Jia et al., S&P 2021",
        "the whole proof",
        "the thief as the author of the run of a prover who had a key",
        _sign_again,
    ),
    Attack(
        "keyless-proof-signed-again",
        "Jia et al., S&P 2021",
        "the whole proof",
        "the thief as the author of the run of a prover who had none",
        _sign_keyless,
        promised=False,
    ),
    Attack(
        "stolen-proof-continued",
        "Jia et al., S&P 2021",
        "the whole proof",
        "the victim's run as the forger's own, with a segment more",
        _continue,
    ),
    Attack(
        "stolen-weights",
        "Jia et al., S&P 2021",
        "the final model",
        "a short true training from the stolen weights, said to be drawn",
        _from_weights,
    ),
    Attack(
        "declared-weights",
        "own",
        "the final model",
        "a short true training from the stolen weights, which are declared to be of unproven origin",
        _declared_weights,
        promised=False,
    ),
    Attack(
        "seed-grinding",
        "Choi et al., NeurIPS 2023",
        "the forger trains",
        f"a true run from the best of {COMMITMENTS} commitments",
        _grind,
        promised=False,
    ),
)
