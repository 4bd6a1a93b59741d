"""Known forgeries and known honest runs end as they must from the command line.

Those that are tried here and in the files that `CASES` names were once accepted though forged, or rejected though
honest. Where no command can try one, a test of the same verification in this process does: files that change while they
are verified (a race), and the attacks on an opening's structure (sixty of them, one after the other).
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import pol
from forge import Forger, take_stock
from opened_steps import SOURCE, open_blindly
from places import TESTS
from rounding_tasks import bold
from steered_runs import verified

from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage.ledger import SCHEMA, segment_file
from pol_jax.storage.openings import write_opening
from pol_jax.verifying.compilations import variants

pytestmark = pytest.mark.usefixtures("in_process")

T = 24

CASES = {
    "weights that were trained before as an initial state, opened by steps": ("test_an_opening_from_trained_weights",),
    "an Adam moment of 2e-8 where v is 0": ("test_a_moment_that_the_optimizer_makes_large",),
    "foreign weights in one vector with -1e8": ("test_a_large_element_excuses_no_small_one",),
    "a target in the constants of a program named digits": (
        "test_a_proof_that_names_a_built_in_task_is_compared_with_it",
        "test_step_that_carries_its_target",
    ),
    "files that unpack to gigabytes": ("test_a_ledger_that_unpacks_to_much_more", "test_array_of_another_form"),
    "names that look like markup, emoji or verdicts": (
        "test_names_are_no_markup",
        "test_every_text_is_escaped",
    ),
    "files swapped while they are verified": ("test_everything_swapped_for_an_honest_run",),
    "a claim of a false final state, opened by steps": ("test_an_opening_of_a_false_final_state",),
    "an opening of another structure": ("test_attack_is_refused_for_its_reason",),
    "an opening that leaves out both ends, of a steered run": (
        "test_nothing_passes_within_a_tolerance_where_the_distance_is_not_known",
    ),
    "bfloat16 steered beside a counter": ("test_a_counter_excuses_no_steered_leaf",),
    "last bits that a later step reads": ("test_last_bits_that_a_later_step_reads",),
    "honest: a rate that is halved when the loss does not fall": (
        "test_a_rate_that_rounding_halves_is_not_rejected",
        "test_an_honest_step_never_fails",
    ),
    "honest: L-BFGS, best parameters, signs, integers of rounded numbers": ("test_an_honest_step_never_fails",),
    "honest: 64-bit types": ("test_the_sandboxed_verifier_has_them_too",),
}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """All files of tests."""
    return [path.read_text() for path in TESTS.rglob("test_*.py")]


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_a_test(case: str, texts: list[str]) -> None:
    for name in CASES[case]:
        assert any(f"def {name}(" in text for text in texts), name


def opened(root: Path, steps: tuple[int, ...], out: Path) -> str:
    """What `pol verify --opening` prints of an opening that a forger's own code wrote; nothing is accepted."""
    write_opening(out, open_blindly(root, steps))
    listed = ",".join(map(str, steps))
    done = pol("verify", root / "claim.json", "--opening", out, "--steps", listed, "--any-program")
    assert done.exit_code == 1, done.output
    return " ".join(done.output.split())


def test_an_opening_from_trained_weights(proof_copy: Path, tmp_path: Path) -> None:
    forger = Forger(proof_copy)
    leaves = zip(forger.commitment.state, forger.states[0], forger.states[T], strict=True)
    forger.train_on(SOURCE, 0, T, [late if leaf.path.startswith("/params") else a for leaf, a, late in leaves])
    forger.write()
    assert "the init program gives another initial state" in opened(proof_copy, (7, 12), tmp_path / "opening")


def test_an_opening_of_a_false_final_state(proof_copy: Path, tmp_path: Path) -> None:
    Forger(proof_copy).write(final_state="7" * 64)
    assert "final_state" in opened(proof_copy, (1, 7), tmp_path / "opening")


def test_a_ledger_that_unpacks_to_much_more(proof_copy: Path) -> None:
    path = proof_copy / segment_file(1)
    lists = pa.array([[0] * 3_000_000] * 6, SCHEMA.field("indices").type)
    table = pq.read_table(path).set_column(2, SCHEMA.field("indices"), lists)
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    take_stock(proof_copy)
    done = pol("verify", proof_copy, "--task", "tiny:plain", "--all")
    assert done.exit_code == 1
    assert "unpacks to more than" in " ".join(done.output.split())


def test_a_rate_that_rounding_halves_is_not_rejected(tmp_path: Path) -> None:
    train(bold(), tmp_path / "proof", steps=40, choices=Choices(interval=4, seed="bold"))
    forger = Forger(tmp_path / "proof")
    no_fusion = next(each for each in variants("cpu") if each.name == "no fusion")
    forger.train_on(bold().source, 0, 40, [np.array(leaf) for leaf in forger.states[0]], no_fusion)
    forger.write(environment=msgspec.structs.replace(forger.claim.environment, cpu="an abacus"))
    report = verified(bold, tmp_path / "proof")
    assert report.compared
    assert report.verdict is not Verdict.REJECTED, report.reasons
