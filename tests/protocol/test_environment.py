"""Two environments differ in what decides bits, and in nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from stored_vectors import vectors

from pol_jax.protocol.claim import Claim
from pol_jax.protocol.environment import environment_differences

CLAIMS = [vector for vector in vectors("documents")["accepted"] if vector["kind"] == "claim"]
CPU = replace(Claim.parse(CLAIMS[0]["text"].encode()).environment, platform="cpu", variables=(), libraries=())
GPU = replace(CPU, platform="cuda")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"jaxlib": "9.9"}, f"jaxlib: {CPU.jaxlib} against 9.9"),
        ({"cpu_count": CPU.cpu_count + 1}, f"cpu_count: {CPU.cpu_count} against {CPU.cpu_count + 1}"),
        ({"variables": ("NPROC=1", "TF_XLA_FLAGS=x")}, "variables: none against NPROC=1 TF_XLA_FLAGS=x"),
        ({"device_kind": "\x1b[2J"}, f"device_kind: {CPU.device_kind} against \\x1b[2J"),
    ],
)
def test_each_field_that_decides_bits_has_a_line(changes: dict[str, Any], line: str) -> None:
    assert environment_differences(CPU, replace(CPU, **changes)) == [line]


def test_processes_and_virtual_devices_decide_nothing() -> None:
    more = {"process_count": CPU.process_count + 1, "device_count": CPU.device_count + 1}
    assert environment_differences(CPU, replace(CPU, **more)) == []
    assert environment_differences(GPU, replace(GPU, **more)) == [
        f"device_count: {GPU.device_count} against {GPU.device_count + 1}"
    ]
    # A CPU and an accelerator: the number of devices is that of real ones on one side.
    assert len(environment_differences(CPU, replace(GPU, **more))) == 2


def test_what_version_1_does_not_say_is_not_compared() -> None:
    old = replace(CPU, variables=None, libraries=None)
    new = replace(CPU, variables=("NPROC=1",), libraries=("libtpu 1",))
    assert environment_differences(old, new) == environment_differences(new, old) == []
