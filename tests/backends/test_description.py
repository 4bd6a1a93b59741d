"""Backends are described in a file, and chosen by name or platform."""

from __future__ import annotations

import pytest

from pol_jax.backends.description import Backend, built_in, parse_backends, select_backends
from pol_jax.errors import UsageError


def test_backends_of_a_file() -> None:
    content = b"""
    [[backend]]
    name = "old vectors"
    platform = "cpu"
    xla_flags = ["--xla_cpu_max_isa=AVX", "--xla_cpu_enable_fast_math=true"]
    matmul_precision = "highest"
    threads = 1
    devices = 2
    python = "/opt/python"
    """
    flags = ("--xla_cpu_max_isa=AVX", "--xla_cpu_enable_fast_math=true")
    assert parse_backends(content, "f.toml") == (
        Backend("old vectors", "cpu", flags, "highest", threads=1, devices=2, python="/opt/python"),
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[[backend]", "no TOML"),
        ("\xff", "no TOML"),
        ("", "backend"),
        ("backend = []", "length >= 1"),
        ('[[backend]]\nname = "a"', "platform"),
        ('[[backend]]\nname = "a"\nplatform = "abacus"', "abacus"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nspeed = 1', "speed"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nthreads = 0', r"\$.backend\[0\].threads"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nthreads = "1"', "threads"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nxla_flags = ["xla_a"]', "xla_flags"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nxla_flags = ["--xla_a=1 --xla_b"]', "xla_flags"),
        ('[[backend]]\nname = "a\\u001b"\nplatform = "cpu"', "name"),
        ('[[backend]]\nname = "a"\nplatform = "cuda"\ndevices = 2', "only a cpu can pretend"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nmatmul_precision = "bfloat17"', "bfloat17"),
    ],
)
def test_what_is_no_backend_is_refused_in_one_line(content: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        parse_backends(content.encode("latin-1"), "f.toml")
    assert str(refused.value).startswith("f.toml: ")
    assert "\n" not in str(refused.value)


def test_backends_are_chosen_by_name_or_platform() -> None:
    every = built_in()
    assert sum(each.platform == "cpu" for each in every) >= 6
    assert select_backends(every, []) == every
    assert {each.platform for each in select_backends(every, ["cuda"])} == {"cuda"}
    assert [each.name for each in select_backends(every, ["cpu, fast math"])] == ["cpu, fast math"]
    with pytest.raises(UsageError, match="no backend is called 'gpu'"):
        select_backends(every, ["gpu"])
    with pytest.raises(UsageError, match="two backends have the name 'cpu'"):
        select_backends((*every, Backend("cpu", "cpu")), [])
