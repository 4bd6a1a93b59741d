"""After the last step, the claim and the inventory are written, and everything is read back."""

from __future__ import annotations

from pathlib import Path

from pol_jax.errors import DivergenceError, ProofError, StorageError
from pol_jax.files import write_whole
from pol_jax.protocol import claim as claims
from pol_jax.protocol import inventory, merkle
from pol_jax.protocol.claim import Claim, Intervention
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.proving.aim import environments_so_far, forget
from pol_jax.proving.recorder import Recorder
from pol_jax.storage.inventory import take_inventory
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.checks import check_files_to_states


def finish(
    root: Path,
    commitment: Commitment,
    recorder: Recorder,
    constant_bytes: int,
    interventions: tuple[Intervention, ...],
) -> None:
    """Write the claim and the inventory, and read everything back before reporting that the proof is finished.

    Args:
        root: the proof's directory.
        commitment: the commitment of the run.
        recorder: what recorded every step.
        constant_bytes: size of the constants in the programs, which were checked when they were exported.
        interventions: all of the run.

    Raises:
        DivergenceError: a claim is there already, and is another one.
        StorageError: what was written can't be read back.
    """
    assert recorder.last_state is not None  # noqa: S101  # the last row has a witness
    earlier = open_proof(root).claim  # it exists if the run was killed while it finished
    claim = Claim(
        format=commitment.format,
        commitment=commitment.digest().hex(),
        ledger_root=merkle.root(recorder.digests).hex(),
        steps=len(recorder.digests) - 1,
        final_state=recorder.last_state.hex(),
        # `run.json`, which has them, may be gone already; the claim that was written first says the same.
        environments=earlier.environments if earlier else environments_so_far(root, commitment),
        interventions=interventions,
    )
    # A claim may be signed and timestamped already, so it is never replaced by another one.
    if earlier not in (None, claim):
        raise DivergenceError(f"{root}: the existing claim is not that of the ledger; start a new run")
    # The claim first, then the journal goes, then the inventory: a run that is killed in between finds the claim, and
    # finishes again with the same one.
    write_whole(root / claims.FILE, claim.encode())
    recorder.remove_journal()
    forget(root)
    limits = Limits(constant_bytes=constant_bytes)
    try:
        write_whole(root / inventory.FILE, take_inventory(root, limits, claim.format))
        check_files_to_states(root, limits)  # stages 1 to 6 of a verification, on what is on the disk
    except ProofError as error:
        # A directory with an inventory counts as a finished proof, and this one can not be verified.
        (root / inventory.FILE).unlink(missing_ok=True)
        raise StorageError(f"what was written can't be read back: {error}") from error
