"""Attacks that stage 6 refuses: checkpoints of other states than those of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from forge import Forger, refused, take_stock

from pol_jax.reports.report import Report
from pol_jax.storage.checkpoint_names import checkpoint_name

Verify = Callable[..., Report]


@pytest.mark.parametrize("step", [0, 12, 24])
def test_checkpoint_of_another_state(forger: Forger, verify_plain: Verify, step: int) -> None:
    forger.states[step] = forger.perturbed(step)
    forger.write()
    refused(verify_plain(forger.root), 6, checkpoint_name(step), f"not the one in row {step}")


def test_exchanged_checkpoints_are_refused(proof_copy: Path, verify_plain: Verify) -> None:
    a, b, spare = (proof_copy / checkpoint_name(step) for step in (6, 12, 99))
    a.rename(spare)
    b.rename(a)
    spare.rename(b)
    refused(verify_plain(proof_copy), 2)
    take_stock(proof_copy)
    refused(verify_plain(proof_copy), 6, checkpoint_name(6), "not the one in row 6")
