"""A training with a bit that flips in memory: in this process, or in one of its own.

python flipped_bit.py DIRECTORY STEP FILE      # after the segment of that step, wait until FILE is there
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny

import pol_jax

CHOICES = pol_jax.Choices(interval=tiny.INTERVAL, seed="tests")


def flip_bit(array: Any) -> None:
    """Flip a bit of the first number, in the memory of the device.

    It is worth 256 units in the last place: the next step may round a single unit away, and all is as it was.
    """
    array.block_until_ready()
    where = array.unsafe_buffer_pointer()
    ctypes.c_uint8.from_address(where + 1).value ^= 1


def train(
    out: Path, flipped: int | None, self_check: int | None, after: Callable[[int], None] = lambda _step: None
) -> None:
    """Train; after a step, a bit of the state flips."""
    recording = pol_jax.Recording(tiny.plain(), out, steps=tiny.STEPS, choices=CHOICES, self_check=self_check)
    with recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == flipped:
                assert recording.follower
                recording.follower.wait()
                flip_bit(state["params"]["w"])
            after(inputs.step)


def main() -> None:
    """Train, and wait for whoever follows."""
    out, flipped, found = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])

    def wait(step: int) -> None:
        end = time.monotonic() + 300
        while step == flipped + tiny.INTERVAL and not found.exists() and time.monotonic() < end:
            time.sleep(0.05)

    train(out, flipped, None, wait)


if __name__ == "__main__":
    main()
