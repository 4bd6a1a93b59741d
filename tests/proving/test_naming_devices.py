"""Runs whose steps name devices (`jax.shard_map`, sharding constraints): trained and verified on as many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sharded import STEPS, naming_devices, records, trained

import pol_jax
from pol_jax.program.artifact import STEP_FILE
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.storage.proof import open_proof

CASES: dict[str, dict[str, Any]] = {
    "shard_map": {"names": "shard_map"},
    "devices": {"names": "devices"},
    "constraint": {"names": "constraint"},
    "exact": {"names": "shard_map", "arithmetic": "exact"},
    "own": {"names": "own"},
    "hidden": {"names": "own", "unchecked": True, "judged": True},
    "lost": {"names": "lost", "judged": True},
}


@dataclass(frozen=True)
class Made:
    """What one process with four devices did, one case after the other, and how each ended."""

    root: Path
    ends: dict[str, dict[str, Any]]

    def __getitem__(self, name: str) -> Path:
        return self.root / name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """All cases, trained."""
    root = tmp_path_factory.mktemp("naming")
    ends = trained(1, 4, *({"out": root / name, **case} for name, case in CASES.items()), gloo=False)
    found = {name: end for name, (end,) in zip(CASES, ends, strict=True)}
    assert all(end.get("step") == STEPS for name, end in found.items() if name != "own"), found
    return Made(root, found)


def test_a_step_that_gives_each_device_its_own_is_refused(made: Made) -> None:
    """After the first step, and not at the first checkpoint."""
    error = made.ends["own"]["error"]
    assert "leaf /momentum: " in error
    assert "unless the step gives each device its own (shard_map with check_vma=False)" in error
    assert open_proof(made["own"]).last_step == 0


def test_a_state_that_is_another_one_on_each_device_is_not_accepted(made: Made) -> None:
    """The prover has left the check out. All rows are those of the first device, and reproduced bit for bit."""
    end = made.ends["hidden"]
    assert end["verdict"] == "inconclusive", end
    assert "the devices have no common state: leaf /momentum: " in end["reasons"][0]


def test_a_batch_that_no_device_sends_is_a_nominal_one(made: Made) -> None:
    """A path leads from the batch to the new state, by a collective that gives 0: one step is tried with another."""
    end = made.ends["lost"]
    assert end["verdict"] == "accepted", end
    assert any("records" in reason and "0%" in reason for reason in end["reasons"]), end


@pytest.mark.parametrize("how", ["shard_map", "constraint"])
def test_verified_bit_for_bit_on_as_many_virtual_devices(how: str, made: Made) -> None:
    """The source is trusted, and exported again by this process, which has one device."""
    report = pol_jax.verify(made[how], records(), policy=pol_jax.AllSegments(), trusted=naming_devices(how))
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.BITS)
    assert report.environment.device_count == 4
    assert report.stages[2].detail.endswith("programs are those of the trusted source, byte for byte")


def test_a_mesh_of_devices_leaves_no_trace_in_the_program(made: Made) -> None:
    assert (made["devices"] / STEP_FILE).read_bytes() == (made["shard_map"] / STEP_FILE).read_bytes()


def test_inconclusive_with_the_cure_on_one_device(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact arithmetic doesn't help: the program is written for four devices."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    report = pol_jax.verify(made["exact"], records(), policy=pol_jax.AllSegments(), any_program=True)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "names the devices of the run's mesh (data=2, model=2) and runs on no others" in report.reasons[0]
    assert "leave --xla_force_host_platform_device_count out of XLA_FLAGS" in report.reasons[0]


def test_processes_that_train_together_have_the_same_exact_bits(made: Made, tmp_path: Path) -> None:
    """Between them gloo adds, and within one process XLA: exact arithmetic has its own order, of all devices."""
    (ends,) = trained(2, 2, {"out": tmp_path / "two", **CASES["exact"]})
    assert [end["step"] for end in ends] == [STEPS] * 2, ends
    alone, together = (open_proof(root).claim for root in (made["exact"], tmp_path / "two"))
    assert alone is not None
    assert together is not None
    assert together.final_state == alone.final_state
    assert [each.environment.collectives for each in (*alone.environments, *together.environments)] == ["none", "gloo"]
    report = pol_jax.verify(tmp_path / "two", records(), policy=pol_jax.AllSegments(), any_program=True, exact=True)
    assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.BITS)
