"""What the scripts say of the machine that they measure on."""

from __future__ import annotations

import os
import sys

import jax

from pol_jax.program.machine import current_environment


def description() -> dict[str, str]:
    """Describe in words what decides bits and times here."""
    environment = current_environment()
    return {
        "jax": jax.__version__,
        "jaxlib": environment.jaxlib,
        "processor": f"{environment.cpu}, {environment.cpu_count} cores",
    }


def warn_if_busy() -> None:
    """Warn on stderr if more than half of the processors are in use already: measured times are too long then."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load > processors / 2:
        print(f"warning: the machine is busy: load {load:.1f} on {processors} processors", file=sys.stderr, flush=True)
