"""On CPUs, a process that replays a run takes as many virtual devices as the run's mesh has, before jax starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import jax
from jax._src import xla_bridge

from pol_jax.errors import PolError
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.storage.inventory import read_bounded

MOST_DEVICES: Final = 256
"""A proof may name a million; each takes threads."""


def provide_devices(root: Path, limits: Limits) -> None:
    """Let this process have the devices of a proof's mesh, if it has one, and nobody has said how many there are.

    Whatever is wrong with the commitment is for the stages of the verification to say.
    """
    if (
        "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
        or xla_bridge.backends_are_initialized()
    ):
        return
    try:
        mesh = Commitment.parse(read_bounded(root, commitments.FILE, limits)).mesh
    except (PolError, OSError):
        return
    if mesh is not None and 1 < mesh.device_count <= MOST_DEVICES:
        jax.config.update("jax_num_cpu_devices", mesh.device_count)
