"""Devices that hold the same part of a state must have the same bits of it (section 13.1, reason 5).

A program may give each device bits of its own (`jax.shard_map` with ``check_vma=False``). The digest covers the first
device alone. On the others, the next steps would then follow from a state that nobody has committed to.
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
    # An error and no refusal: a broken device gives the same picture as a program that was written for it.
    if problem := problem_of_copies(signature.state, leaves):
        raise BackendError(f"the devices have no common state: {problem}")
