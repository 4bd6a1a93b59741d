"""What decides bits on this machine is found, and told apart from what does not."""

from __future__ import annotations

import platform

import jax
import pytest

from pol_jax.program import machine
from pol_jax.program.machine import current_environment, describe_processors, processor_of
from pol_jax.protocol.environment import environment_differences

LINUX = """processor\t: 0
model name\t: Abacus 9 : fast
flags\t\t: fpu sse4_2 avx2 avx fma vme

processor\t: 1
model name\t: another
"""


@pytest.mark.parametrize(
    "setting", ["JAX_DISABLE_MOST_OPTIMIZATIONS=True", "JAX_OPTIMIZATION_LEVEL=O0", "JAX_MEMORY_FITTING_LEVEL=O1"]
)
def test_other_settings_of_the_compiler_are_another_environment(setting: str) -> None:
    """Bits of such a run may differ, and it would be rejected where only some of them do."""
    name, value = setting.split("=")
    usual, before = current_environment(), jax.config.values[name.lower()]
    jax.config.update(name.lower(), True if value == "True" else value)
    try:
        assert environment_differences(current_environment(), usual) == [f"variables: {setting} against none"]
    finally:
        jax.config.update(name.lower(), before)
    assert current_environment() == usual


def test_another_number_of_threads_is_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = current_environment()
    monkeypatch.setenv("NPROC", "1")
    assert environment_differences(current_environment(), usual) == ["variables: NPROC=1 against none"]


def test_flags_of_xla_are_those_that_decide_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_z=1  --xla_force_host_platform_device_count=8 --xla_a=2")
    assert current_environment().xla_flags == ("--xla_a=2", "--xla_z=1")


def test_a_processor_is_described_by_its_model_and_vector_instructions() -> None:
    assert processor_of(LINUX) == ("Abacus 9 : fast", ("avx", "avx2", "fma", "sse4_2"))
    assert describe_processors().startswith(f"{platform.machine()}, {machine.processor()[0]}, ")


def test_libraries_of_accelerators_are_named_with_their_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        def __init__(self, name: str | None) -> None:
            self.metadata, self.version = {"Name": name}, "1.2"

    names = ("NVIDIA-cudnn-cu12", "jax-cuda12-plugin", "libtpu", "numpy", "nvidia-cudnn-frontend", None)
    monkeypatch.setattr(machine, "distributions", lambda: [Installed(name) for name in names])
    assert machine._libraries("cpu") == ()
    assert machine._libraries("cuda") == ("jax-cuda12-plugin 1.2", "libtpu 1.2", "nvidia-cudnn-cu12 1.2")
