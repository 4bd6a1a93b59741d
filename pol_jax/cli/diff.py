"""``pol diff`` prints the first step at which two runs diverge."""

from __future__ import annotations

from pathlib import Path

from pol_jax.cli.terminal import quiet_libraries, say
from pol_jax.errors import ACCEPTED, REJECTED
from pol_jax.sandbox.proofs import open_apart
from pol_jax.verifying.diff import diff


def diff_command(a: Path, b: Path) -> int:
    """Print the first step at which two runs diverge, and return the exit code."""
    quiet_libraries()
    with open_apart(a) as one, open_apart(b) as other:
        difference = diff(one, other)
    for name, x, y in difference.commitments:
        say(f"commitments differ in {name}: {x} against {y}")
    if difference.step is not None:
        fields, common = ", ".join(difference.fields), difference.common
        say(f"the runs diverge at step {difference.step} (of {common} common steps): {fields}")
    if not difference:
        shorter, longer = sorted(difference.steps)
        more = "" if shorter == longer else f"; only one of them continues, to step {longer}"
        say(f"the runs are the same, bit for bit, for all {difference.common} common steps{more}")
    return REJECTED if difference else ACCEPTED
