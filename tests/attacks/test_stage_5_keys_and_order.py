"""Attacks that stage 5 refuses: keys and batches that the prover has chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from forge import Forger, refused

from pol_jax.reports.report import Report
from pol_jax.storage.ledger import segment_file

Verify = Callable[..., Report]


ODD = b"\x07" * 32
"""A digest of nothing."""


@pytest.mark.parametrize("step", [0, 1, 9, 24])
def test_a_chosen_key_is_refused(forger: Forger, verify_plain: Verify, step: int) -> None:
    forger.change(step, key=bytes(8))
    forger.write()
    refused(verify_plain(forger.root), 5, segment_file(max(0, (step - 1) // 6)), f"row {step}: key")


@pytest.mark.parametrize("choice", ["swapped", "repeated", "fewer", "none"])
def test_a_chosen_batch_is_refused(forger: Forger, verify_plain: Verify, choice: str) -> None:
    """Forging by chosen batches (Thudi et al., 2022): other committed records, with the digest that they have."""
    old = forger.rows[9].indices
    new = {"swapped": old[[1, 0, 2, 3]], "repeated": old[[0, 0, 2, 3]], "fewer": old[:3], "none": old[:0]}[choice]
    forger.change(9, indices=new, batch=forger.batch_of(new))
    forger.write()
    refused(verify_plain(forger.root), 5, segment_file(1), "row 9: indices")


def test_batch_in_row_0(forger: Forger, verify_plain: Verify) -> None:
    indices = np.array([0], np.uint64)
    forger.change(0, indices=indices, batch=forger.batch_of(indices))
    forger.write()
    refused(verify_plain(forger.root), 5, segment_file(0), "row 0: indices")


@pytest.mark.parametrize("step", [0, 9])
def test_batch_of_other_records(forger: Forger, verify_plain: Verify, step: int) -> None:
    forger.change(step, batch=ODD)
    forger.write()
    refused(verify_plain(forger.root), 5, segment_file(step // 6), f"row {step}: batch_digest")


@pytest.mark.parametrize("change", [{"claim": "00" * 32}, {"digest": "00" * 32}, {"leaves": ["/params/w"]}])
def test_a_start_cannot_be_changed_afterwards(change: dict[str, Any], child: Forger, verify_chain: Verify) -> None:
    """It is in the commitment, and that in every key."""
    child.commit_to(lambda plain: plain["initial"].update(change))
    child.write()
    refused(verify_chain(child.root, "base"), 5, "key is not the one")
