"""The numbers of system calls are the kernel's, and each call on the list is refused."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest
from confined_child import CALL, Trying, needs_filter

from pol_jax.sandbox.system_calls import MACHINES


@needs_filter
def test_every_call_on_the_list_is_refused(trying: Trying) -> None:
    """Also namespaces of a user, keys, and memory segments that are named by numbers."""
    calls = MACHINES[platform.machine()]
    namespaces = [f"call({calls.clone}, {flag}, 0, 0, 0, 0)" for flag in (0x10000000, 0x00020000, 0x40000000)]
    found = trying(
        *(f"call({number}, 0, 0, 0, 0, 0, 0)" for number in calls.refused.values()), *namespaces, before=CALL
    )
    assert found.pop("unrestricted") == ""
    assert set(found.values()) == {"PermissionError"}, found


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_numbers_are_the_kernel_s(machine: str) -> None:
    headers = {
        "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        "aarch64": Path("/usr/include/asm-generic/unistd.h"),
    }
    if not headers[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    numbers = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", headers[machine].read_text()))
    calls = MACHINES[machine]
    ours = {**calls.refused, **calls.own_alone, **calls.new_processes, "clone": calls.clone, "clone3": calls.clone3}
    assert {name: number for name, number in ours.items() if int(numbers.get(name, number)) != number} == {}


@pytest.mark.parametrize("machine", MACHINES)
def test_no_number_stands_for_two_calls(machine: str) -> None:
    """A typing mistake would refuse another call than the one that is meant."""
    calls = MACHINES[machine]
    numbers = [*calls.refused.values(), *calls.own_alone.values(), *calls.new_processes.values()]
    numbers += [calls.socket, calls.clone, calls.clone3]
    assert len(set(numbers)) == len(numbers)
    assert all(isinstance(number, int) for number in numbers)
