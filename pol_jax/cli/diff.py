"""``pol diff``."""

from __future__ import annotations

from pathlib import Path

from pol_jax.cli.terminal import make_console, quiet_libraries
from pol_jax.errors import ACCEPTED, REJECTED
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.diff import diff


def diff_command(a: Path, b: Path) -> int:
    """Print where two runs part; return the exit code."""
    quiet_libraries()
    console = make_console()
    found = diff(open_proof(a), open_proof(b))
    for name, x, y in found.commitments:
        console.print(f"commitments differ in {name}: {x} against {y}", markup=False)
    if found.step is not None:
        fields = ", ".join(found.fields)
        console.print(f"diverge at step {found.step} (of {found.common} common steps): {fields}", markup=False)
    if not found:
        more = "" if found.steps[0] == found.steps[1] else f"; then only one goes on, to step {max(found.steps)}"
        console.print(f"the same, bit for bit, for all {found.common} common steps{more}", markup=False)
    return REJECTED if found else ACCEPTED
