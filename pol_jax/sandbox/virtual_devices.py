"""On CPUs, a process that replays a run takes as many virtual devices as the run's mesh has, before jax starts."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import jax
from jax._src import xla_bridge

from pol_jax.errors import PolError
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.sandbox.loopback import ADDRESS
from pol_jax.sandbox.memory import MOST_DEVICES
from pol_jax.storage.inventory import find_claim, read_bounded
from pol_jax.storage.openings import read_commitment


def needs_gloo(claim: Path) -> bool:
    """Return whether a claim, or whatever else is in its file, says that gloo added over the devices of the run.

    Nothing is parsed, and nothing believed: a process that replays it then has a network of its own, and nobody in it.
    """
    try:
        with os.fdopen(os.open(claim, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a pipe has no end
            # Canonical JSON has one spelling, without spaces.
            return b'"collectives":"gloo"' in (file.read(Limits().document_bytes) or b"")
    except OSError:
        return False


def provide_devices(root: Path, limits: Limits, *, network: bool = False) -> None:
    """Let this process have the devices of a proof's mesh, if it has one, and nobody has said how many there are.

    They add as those of the run did, by gloo or by XLA itself. Whatever is wrong with the proof is for the stages of a
    verification to say.

    Args:
        root: the proof's directory.
        limits: how much may be read.
        network: whether gloo may use the network of this machine, as in the run itself; by default it may use only a
            network of this process's own, if that has one.
    """
    with suppress(PolError, OSError):
        _provide(read_bounded(root, commitments.FILE, limits), root / claims.FILE, network=network)


def provide_devices_of_opening(opening: Path, claim: Path, limits: Limits) -> None:
    """Let this process have the devices of the mesh of an opened run; otherwise like `provide_devices`."""
    with suppress(PolError, OSError):
        _provide(read_commitment(opening, limits), find_claim(claim))


def _provide(commitment: bytes | None, claim: Path, *, network: bool = False) -> None:
    mesh = Commitment.parse(commitment).mesh if commitment and not xla_bridge.backends_are_initialized() else None
    if mesh is None or not 1 < mesh.device_count <= MOST_DEVICES:
        return
    if "platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", mesh.device_count)
    if needs_gloo(claim) and (network or socket.gethostname() == ADDRESS):
        with socket.socket() as found:
            # Port 0 lets the kernel choose a free one; in a network of its own nobody else takes it meanwhile.
            found.bind((ADDRESS, 0))
            port = found.getsockname()[1]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"{ADDRESS}:{port}", 1, 0, initialization_timeout=60)
