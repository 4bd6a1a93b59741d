"""`pol backends` measures under every backend of this machine, and merges the results of others."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tiny
from measured_backends import one_more, pol

from pol_jax.backends.description import built_in
from pol_jax.backends.results import read_results
from pol_jax.errors import BackendError, UsageError
from pol_jax.protocol.opening import Opening
from pol_jax.storage.openings import write_opening


def test_a_proof_under_a_backend_of_one_s_own(plain_proof: Path, tmp_path: Path) -> None:
    chosen = ("--task", "tiny:plain", "--config", one_more(tmp_path), "--only", "one more")
    found = pol(plain_proof, *chosen, "--out", tmp_path / "out", "--d-ref", "2", "--machine", "my machine")
    assert found.exit_code == 0, found.output
    assert "my machine" in found.output
    assert "/d_ref" in found.output
    read = read_results(tmp_path / "out" / "results.json")
    assert [each.backend.name for each in read.outcomes] == ["one more"]
    segment = range(tiny.STEPS // 2 + 1, tiny.STEPS // 2 + 11)
    assert [each.stop for each in read.outcomes[0].of("step")] == [1, *segment, tiny.STEPS]
    assert [each.stop for each in read.outcomes[0].of("segment")] == list(segment)
    rows = pq.read_table(tmp_path / "out" / "results.parquet")
    assert rows.column("l2_over_d_ref")[0].as_py() == rows.column("l2")[0].as_py() / 2


def test_where_nothing_runs_nothing_is_said(opening: Opening, tmp_path: Path) -> None:
    """As for who has an opening, and asks for an accelerator that is not there."""
    write_opening(tmp_path / "opening", opening)
    found = pol("--opening", tmp_path / "opening", "--only", "cuda", "--out", tmp_path / "out")
    assert found.exit_code == 3
    assert "no backend ran: nothing was measured" in found.output
    assert "no figures" in found.output
    rows = pq.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert len(rows) == sum(each.platform == "cuda" for each in built_in())
    assert {row["status"] for row in rows} == {"missing"}


def test_results_here_are_no_verdict_on_a_machine_that_can_t_regenerate(
    plain_proof: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Opening:
        raise BackendError("this machine can't regenerate the run: the replay of step 3 differs from the ledger")

    monkeypatch.setattr("pol_jax.cli.backends.open_steps", refuse)
    found = pol(plain_proof, "--task", "tiny:plain")
    assert isinstance(found.exception, BackendError)
    assert "use the prover's opening" in str(found.exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give one PROOF, or --opening FILE"),
        (("a", "b"), "give one PROOF, or --opening FILE"),
        (("a", "--opening", "b"), "give one PROOF, or --opening FILE"),
        (("--merge",), "which files"),
        (("--merge", "a", "--steps", "1"), "--steps: has no meaning with --merge"),
        (("nowhere",), "nowhere"),
        (("--opening", "nowhere"), "no such file"),
        (("nowhere", "--only", "gpu"), "no backend is called"),
        (("nowhere", "--config", "nowhere.toml"), "can't be read"),
    ],
)
def test_wrong_calls_are_told_in_one_line(arguments: tuple[str, ...], words: str) -> None:
    found = pol(*arguments)
    assert isinstance(found.exception, UsageError), found.output
    assert words in str(found.exception)
