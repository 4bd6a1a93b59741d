"""Messages as bytes: those of `multiprocessing.connection`, so that each side may use either."""

from __future__ import annotations

import os
import struct
from multiprocessing import Pipe

import pytest

from pol_jax.sandbox.frames import HEADER_BYTES, frame, frame_length


@pytest.mark.parametrize("size", [0, 1, 100, 20_000])
def test_frames_are_those_of_the_library(size: int) -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        os.write(ours.fileno(), frame(bytes(size)))
        assert theirs.recv_bytes() == bytes(size)
        theirs.send_bytes(bytes(size))
        header = os.read(ours.fileno(), HEADER_BYTES)
        assert frame_length(header, size) == size


@pytest.mark.parametrize("length", [-1, 101, 2**31 - 1])
def test_a_length_beyond_the_bound_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"announces {length} bytes, expected at most 100"):
        frame_length(struct.pack("!i", length), 100)
