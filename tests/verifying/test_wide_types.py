"""A program with 64-bit types runs with them, and any other without, whatever the process has enabled (section 9)."""

from __future__ import annotations

from pathlib import Path

import jax
import pytest
import tiny
import unsandboxed
import wide
from forked_children import forking

import pol_jax
from pol_jax.protocol.policies import AllSegments, ListedSteps
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.provenance import Origin
from pol_jax.sandbox.starting import python_process
from pol_jax.verifying.compilations import compile_variants
from pol_jax.verifying.trusted_program import trust

TRAIN = f"""
import runpy, sys
import jax
jax.config.update("jax_enable_x64", True)
del sys.argv[1:3]  # what is given to each process
runpy.run_path({wide.__file__!r}, run_name="__main__")
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a proof and an opening that a process with 64-bit types has made."""
    folder = tmp_path_factory.mktemp("wide")
    with forking(), python_process(TRAIN, [str(folder / "proof"), str(folder / "opening")], {}) as process:
        assert process.popen.wait(600) == 0, process.describe_end()
    return folder


def test_a_proof_with_64_bit_types_is_verified_by_a_process_without(trained: Path) -> None:
    assert not jax.config.jax_enable_x64  # type: ignore[attr-defined, unused-ignore]
    source, trusted = wide.task().source, trust(wide.task())
    report = unsandboxed.verify(trained / "proof", source, policy=AllSegments(), trusted=trusted)
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert report.program_origin is Origin.TRUSTED
    assert not jax.config.jax_enable_x64  # type: ignore[attr-defined, unused-ignore]


def test_the_sandboxed_verifier_has_them_too(trained: Path) -> None:
    report = pol_jax.verify(trained / "proof", wide.task().source, policy=AllSegments())
    assert report.verdict is Verdict.ACCEPTED, report.reasons


def test_an_opening_with_64_bit_types_is_verified_and_made_by_a_process_without(trained: Path) -> None:
    report = unsandboxed.verify_opening(trained / "proof", trained / "opening", ListedSteps((2,)))
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    again = pol_jax.open_steps(pol_jax.open_proof(trained / "proof"), wide.task().source, [2])
    pol_jax.write_opening(trained / "again", again)
    assert (trained / "again").read_bytes() == (trained / "opening").read_bytes()


def test_other_compilations_and_the_final_state_keep_the_types(trained: Path) -> None:
    proof = pol_jax.open_proof(trained / "proof")
    assert [leaf.dtype.name for leaf in proof.final_leaves()] == ["int64", "float64"]
    reference = compile_variants(proof.program()).reference
    count, w = reference.run(proof.host_leaves(0), [])
    assert (int(count), w.dtype.name) == (2**40, "float64")


def test_a_proof_without_64_bit_types_is_verified_by_a_process_with_them(plain_proof: Path) -> None:
    with jax.enable_x64(True):
        report = unsandboxed.verify(plain_proof, tiny.plain().source, policy=AllSegments(), nonce=b"n")
    assert report.verdict is Verdict.ACCEPTED, report.reasons
