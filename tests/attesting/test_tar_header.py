"""Headers: those of tar, in one form."""

from __future__ import annotations

import tarfile

from hypothesis import given
from hypothesis import strategies as st

from pol_jax.attesting.tar_header import header_of


@given(st.integers(0, 2**62), st.integers(1, 1200))
def test_headers_are_those_of_tar(size: int, length: int) -> None:
    member = tarfile.TarInfo("n" * length)
    member.size, member.mode = size, 0o644
    assert header_of("n" * length, size) == member.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")
