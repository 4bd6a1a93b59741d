"""A child that root started keeps no capability but to read files, and passes none on."""

from __future__ import annotations

import ctypes
import struct
import sys
from typing import Any

import pytest
from confined_child import Trying

from pol_jax.sandbox.capabilities import drop_capabilities

READ_FILES = 0b110
EVERYTHING = 2**32 - 1


class Kernel:
    """A process that has these capabilities: effective, permitted, inheritable; and the same for higher numbers."""

    def __init__(self, *held: int, refuses: bool = False) -> None:
        self.held, self.refuses = held, refuses

    def capget(self, header: bytes, held: Any) -> int:
        assert struct.unpack("=Ii", header) == (0x20080522, 0)  # of this thread
        ctypes.memmove(held, struct.pack("=6I", *self.held), 24)
        return -1 if self.refuses else 0

    def capset(self, _header: bytes, kept: bytes) -> int:
        self.held = struct.unpack("=6I", kept)
        return 0


@pytest.mark.parametrize(
    ("held", "kept"),
    [
        ((EVERYTHING,) * 6, (READ_FILES, READ_FILES, 0, 0, 0, 0)),
        ((0, EVERYTHING, 0, 0, 0, 0), (0, READ_FILES, 0, 0, 0, 0)),
        ((0,) * 6, (0,) * 6),
    ],
)
def test_nothing_is_kept_but_to_read_files(
    held: tuple[int, ...], kept: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(*held)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda *_: kernel)
    drop_capabilities()
    assert kernel.held == kept


def test_what_is_not_known_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(*(EVERYTHING,) * 6, refuses=True)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda *_: kernel)
    drop_capabilities()
    assert kernel.held == (EVERYTHING,) * 6
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("ctypes.CDLL", lambda *_: pytest.fail("called the kernel"))
    drop_capabilities()


@pytest.mark.skipif(sys.platform != "linux", reason="no capabilities")
@pytest.mark.parametrize("call", ["capget", "capset"])
def test_rights_that_a_kernel_keeps_are_told(trying: Trying, call: str) -> None:
    """A filter of a container may refuse these calls."""
    refusing = (
        "import ctypes\nfrom pol_jax.sandbox import capabilities\nclass Refusing(ctypes.CDLL):\n"
        f"    def {call}(self, *_): return -1\n"
        "class Named: CDLL = Refusing; create_string_buffer = ctypes.create_string_buffer\n"
        "capabilities.ctypes = Named\n"
    )
    assert "rights of root not restricted here" in trying("os.getpid()", before=refusing)["unrestricted"]
