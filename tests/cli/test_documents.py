"""The documents of a proof agree with each other and with its ledger; its public part alone is no proof."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from forge import Forger, claim_of

from pol_jax.cli.documents import check_documents, is_bundle, refuse_bundle
from pol_jax.errors import ProofError, UsageError
from pol_jax.protocol.limits import Limits


@pytest.fixture
def bundle(plain_proof: Path, tmp_path: Path) -> Path:
    """The public part of a proof."""
    (tmp_path / "bundle").mkdir()
    for name in ("claim.json", "commitment.json"):
        shutil.copyfile(plain_proof / name, tmp_path / "bundle" / name)
    return tmp_path / "bundle"


def test_documents_are_those_of_the_files(plain_proof: Path, bundle: Path) -> None:
    found, public = check_documents(plain_proof, Limits()), check_documents(bundle, Limits())
    assert found.claim == public.claim == claim_of(plain_proof)
    assert found.claim_bytes == (plain_proof / "claim.json").read_bytes()
    assert found.commitment_bytes == (plain_proof / "commitment.json").read_bytes() == public.commitment_bytes
    assert found.files == sum(path.is_file() for path in plain_proof.rglob("*"))
    assert public.files is None


def test_the_public_part_is_no_proof(plain_proof: Path, bundle: Path) -> None:
    assert (is_bundle(bundle), is_bundle(plain_proof)) == (True, False)
    refuse_bundle(plain_proof, "a cure")
    with pytest.raises(UsageError, match=r"is the public part of a proof, .*; a cure"):
        refuse_bundle(bundle, "a cure")


def test_a_claim_that_the_files_do_not_support_is_refused(forger: Forger) -> None:
    forger.write_documents(ledger_root="0" * 64)
    with pytest.raises(ProofError, match="its Merkle root is not the claimed one"):
        check_documents(forger.root, Limits())
    forger.write_documents(final_state="0" * 64)
    with pytest.raises(ProofError, match="final_state is not the digest in row 24"):
        check_documents(forger.root, Limits())
    forger.write_documents(commitment="0" * 64)
    with pytest.raises(ProofError, match="is not the commitment that the claim names"):
        check_documents(forger.root, Limits())


def test_a_longer_run_than_the_limit_is_not_read(bundle: Path) -> None:
    with pytest.raises(ProofError, match="steps: 24, more than the limit of 23"):
        check_documents(bundle, Limits(steps=23))
