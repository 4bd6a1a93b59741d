"""These vectors pin what a claim says of a processor, from the text that Linux has of it (docs/protocol.md, 2.2)."""

from __future__ import annotations

from typing import Final

from pol_jax.program.machine import processor_of
from vectors.form import Vector

X86_64: Final = """\
processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 7R13 Processor
cpu cores\t: 1
flags\t\t: fpu sse sse2 ssse3 fma sse4_1 sse4_2 avx f16c avx2 sse4a bmi2

processor\t: 1
model name\t: another one
flags\t\t: fpu avx512f
"""
AARCH64: Final = """\
processor\t: 0
BogoMIPS\t: 50.00
model name\t: Neoverse-V1
Features\t: fp asimd evtstrm aes asimdhp asimddp sve svebf16
CPU part\t: 0xd40
"""


def vectors() -> list[Vector]:
    """Make the two fields of each text."""
    return [_vector(text) for text in (X86_64, AARCH64)]


def _vector(text: str) -> Vector:
    cpu, features = processor_of(text)
    return {"cpuinfo": text, "cpu": cpu, "cpu_features": list(features)}
