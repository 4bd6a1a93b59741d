"""A verification over a running Ray cluster gives the same report, even if a worker dies; skipped without Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from commands import pol

from pol_jax.errors import UsageError
from pol_jax.integrations.ray_cluster import find_facts_on_cluster
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.policies import AllSegments
from pol_jax.sandbox.apart import verify_proof_apart
from pol_jax.training.task import Source
from pol_jax.verifying.request import ProofRequest

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of one node with two processors, on this machine."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patched.setenv("RAY_AUTH_MODE", "disabled")
        patched.setenv(
            "PYTHONPATH", os.pathsep.join(map(str, (Path(tiny.__file__).parents[1], Path(tiny.__file__).parent)))
        )
        for name in ("raylet_start_wait_time_s", "gcs_server_request_timeout_seconds"):  # on a busy machine
            patched.setenv(f"RAY_{name}", "200")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        try:
            yield str(cluster.address)
        finally:
            cluster.shutdown()


def test_the_report_is_that_of_one_process(address: str, plain_proof: Path, tmp_path: Path) -> None:
    common = ("verify", plain_proof, "--task", "tiny:plain", "--all", "--nonce", "00ff" * 8, "--json")
    local = pol(*common, tmp_path / "local.json")
    spread = pol(*common, tmp_path / "spread.json", "--ray", address)
    assert (local.exit_code, spread.exit_code) == (0, 0), spread.output
    assert (tmp_path / "spread.json").read_bytes() == (tmp_path / "local.json").read_bytes()


def test_a_worker_that_dies_is_replaced(address: str, plain_proof: Path, tmp_path: Path) -> None:
    died = tmp_path / "died"

    def die_once(_commitment: Commitment) -> Source:
        try:
            died.touch(exist_ok=False)
        except FileExistsError:
            return tiny.plain().source
        os._exit(1)

    request = ProofRequest(path=str(plain_proof), policy=AllSegments(), nonce=b"nonce")
    facts = find_facts_on_cluster(address, request, die_once, shards=2)
    assert died.exists()
    assert verify_proof_apart(request, tiny.plain().source, facts=facts) == verify_proof_apart(
        request, tiny.plain().source
    )


def test_an_error_of_a_shard_is_one_line(address: str, proof_copy: Path) -> None:
    (proof_copy / "records").write_bytes(b"")
    failed = pol("verify", proof_copy, "--task", "tiny:plain", "--ray", address)
    assert failed.exit_code == 2
    assert failed.stderr.startswith("pol: ")
    assert "records: has 0 bytes" in failed.stderr


def test_no_cluster_is_one_line(plain_proof: Path) -> None:
    request = ProofRequest(path=str(plain_proof))
    with pytest.raises(UsageError, match="no Ray cluster answers there"):
        find_facts_on_cluster("127.0.0.1:1", request, tiny.plain().source)
