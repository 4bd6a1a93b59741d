"""What several devices should have in common must be the same on all of them, or a state is no single one (section 13).

A program may give each device its own (`jax.shard_map` with ``check_vma=False``). The digest is that of the first
device; from what the others have, steps would follow that follow from no committed state.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax

from pol_jax.errors import BackendError
from pol_jax.program.signature import Signature
from pol_jax.training.shards import problem_of_copies


def check_copies(signature: Signature, leaves: Sequence[jax.Array]) -> None:
    """Check that a state that was computed here is the same wherever devices have the same part of it.

    Raises:
        BackendError: it isn't. The program may be the reason, or a device; nobody can tell from here.
    """
    if problem := problem_of_copies(signature.state, leaves):
        raise BackendError(f"the devices have no common state: {problem}")
