"""Shards find facts, one place judges: the report is that of a verification by one process, to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from commands import pol
from forge import Forger

from pol_jax.verifying.facts import FactsReplayer, merge_facts, parse_facts

NONCE = "ab" * 16
TASK = ("--task", "tiny:plain")

pytestmark = pytest.mark.usefixtures("in_process")


def shard(proof: Path, share: str, out: Path, *options: str | Path) -> Path:
    """Find the facts of a shard."""
    found = pol("verify", proof, *TASK, "--nonce", NONCE, "--shard", share, "--out", out, *options)
    assert found.exit_code == 0, found.output
    assert "pol merge-reports judges them" in found.output
    return out


def honest(forger: Forger) -> None:
    """As it is."""


def forged_end(forger: Forger) -> None:
    """Rejected by bits."""
    forger.set_state(12, forger.perturbed(12))
    forger.write()


def everything_false(forger: Forger) -> None:
    """No bits are equal here, so that numbers are compared."""
    for step in range(6, 25, 6):
        forger.set_state(step, forger.perturbed(step))
    for step in range(1, 25):
        forger.change(step, loss=b"\0\0\0\0")
    forger.write()


def elsewhere_between(forger: Forger) -> None:
    """A state between true checkpoints is false, under another backend's name: states on the way are replayed."""
    forger.change(9, state=bytes(32))
    forger.write(environment=msgspec.structs.replace(forger.claim.environment, cpu="another"))


@pytest.mark.parametrize(
    ("change", "code"),
    [(honest, 0), (forged_end, 1), (everything_false, 1), (elsewhere_between, 3)],
)
def test_the_report_is_that_of_one_process(
    change: Callable[[Forger], None], code: int, forger: Forger, tmp_path: Path
) -> None:
    """And what the shards found is not executed again."""
    change(forger)
    whole = pol("verify", forger.root, *TASK, "--all", "--nonce", NONCE, "--json", tmp_path / "whole.json")
    facts = [shard(forger.root, f"{number}/2", tmp_path / f"facts {number}", "--all") for number in (1, 2)]
    with patch.object(FactsReplayer, "_run", side_effect=AssertionError("executed again")):
        merged = pol("merge-reports", forger.root, *reversed(facts), *TASK, "--json", tmp_path / "merged.json")
    assert (whole.exit_code, merged.exit_code) == (code, code), whole.output
    assert (tmp_path / "merged.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    found = merge_facts([parse_facts(path.read_bytes(), str(path)) for path in facts])
    assert len({result.span for result in found.replays}) == 4, "the self-test is the first segment, once"
    assert bool(found.compared) == (change is elsewhere_between)


def test_an_earlier_proof_is_verified_by_who_merges(chain: Path, tmp_path: Path) -> None:
    """Shards find facts about the proof that was asked for, and none about where it comes from."""
    child, parent = chain / "child", ("--parent", chain / "base")
    whole = pol("verify", child, *TASK, *parent, "--all", "--nonce", NONCE, "--json", tmp_path / "whole.json")
    facts = [shard(child, f"{number}/2", tmp_path / f"facts {number}", "--all", *parent) for number in (1, 2)]
    merged = pol("merge-reports", child, *facts, *TASK, *parent, "--json", tmp_path / "merged.json")
    assert (whole.exit_code, merged.exit_code) == (0, 0), merged.output
    assert (tmp_path / "merged.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_random_segments_of_a_thinned_proof(tmp_path: Path) -> None:
    """Shards share routes from checkpoint to checkpoint: no step is executed twice."""
    train = (
        "train",
        "tiny:plain",
        "--out",
        tmp_path / "proof",
        "--steps",
        "24",
        "--interval",
        "3",
        "--keep-every",
        "3",
    )
    assert pol(*train).exit_code == 0
    draw = ("--confidence", "0.9", "--fraction", "0.3")
    whole = pol("verify", tmp_path / "proof", *TASK, *draw, "--nonce", NONCE, "--json", tmp_path / "whole.json")
    facts = [shard(tmp_path / "proof", f"{number}/2", tmp_path / f"facts {number}", *draw) for number in (1, 2)]
    merged = pol("merge-reports", tmp_path / "proof", *facts, *TASK, "--json", tmp_path / "merged.json")
    assert (merged.exit_code, whole.exit_code) == (0, 0)
    assert (tmp_path / "merged.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


@pytest.fixture(scope="module")
def found(plain_proof: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The facts of two shards."""
    folder = tmp_path_factory.mktemp("facts")
    with pytest.MonkeyPatch.context() as patched:
        from in_process import serving_thread

        patched.setattr("pol_jax.sandbox.apart.child_process", serving_thread)
        return [shard(plain_proof, f"{number}/2", folder / str(number), "--all") for number in (1, 2)]


def merged(proof: Path, *facts: Path) -> str:
    """What the command says of facts that it refuses."""
    result = pol("merge-reports", proof, *facts, *TASK)
    assert result.exit_code == 2, result.output
    return result.stderr


def changed(path: Path, out: Path, **fields: Any) -> Path:
    """Facts with other fields."""
    out.write_text(json.dumps(json.loads(path.read_bytes()) | fields))
    return out


def test_facts_that_are_not_those_of_all_shards_are_refused(
    plain_proof: Path, found: list[Path], tmp_path: Path, chain: Path
) -> None:
    first, second = found
    assert "expected each shard of 2 once, got 1/2" in merged(plain_proof, first)
    assert "expected each shard of 2 once, got 1/2, 1/2" in merged(plain_proof, first, first)
    assert "different values of nonce" in merged(plain_proof, first, changed(second, tmp_path / "nonce", nonce="00"))
    other = json.loads(first.read_bytes())["environment"] | {"cpu": "another"}
    assert "other backends" in merged(plain_proof, first, changed(second, tmp_path / "cpu", environment=other))
    both = [changed(path, tmp_path / path.name, environment=other) for path in found]
    assert "the shards have another backend than this machine" in merged(plain_proof, *both)
    assert "is not that of this proof" in merged(chain / "child", first, second)


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 10_000, b'{"format": "pol-jax facts 2"}', b"\xff"])
def test_what_are_no_facts_is_one_line(content: bytes, plain_proof: Path, found: list[Path], tmp_path: Path) -> None:
    (tmp_path / "rubbish").write_bytes(content)
    assert "has no facts of a shard" in merged(plain_proof, tmp_path / "rubbish", found[1])
    assert "can't be read" in merged(plain_proof, tmp_path / "nothing")


def test_a_difference_that_a_shard_found_decides(plain_proof: Path, found: list[Path], tmp_path: Path) -> None:
    """The facts are what is judged: the place that judges executes nothing."""
    replays = json.loads(found[1].read_bytes())["replays"]
    replays = [each | {"mismatch": each["span"]["stop"], "fields": ["state_digest"]} for each in replays] * 2
    second = changed(found[1], tmp_path / "false", replays=replays)
    result = pol("merge-reports", plain_proof, found[0], second, *TASK)
    assert result.exit_code == 1, result.output
    assert "the replay of step 12 differs from the ledger (state_digest)" in result.output


def test_options_of_shards_go_together(plain_proof: Path, tmp_path: Path) -> None:
    verify, facts = ("verify", plain_proof, *TASK), tmp_path / "facts"
    for options, words in (
        (("--shard", "1/2"), "give both"),
        (("--out", facts), "give both"),
        (("--shard", "1/2", "--out", facts), "the same --nonce"),
        (("--shard", "3/2", "--out", facts, "--nonce", NONCE), "expected I/N"),
        (("--shard", "one", "--out", facts, "--nonce", NONCE), "expected I/N"),
        (("--shard", "1/2", "--ray", "auto"), "give one of them"),
    ):
        refused = pol(*verify, *options)
        assert refused.exit_code == 2, options
        assert words in refused.stderr
    assert not facts.exists()


def test_a_damaged_proof_gives_no_facts(proof_copy: Path, tmp_path: Path) -> None:
    """A verification says what that means; a shard says only what it met."""
    (proof_copy / "records").write_bytes(b"")
    options = ("--shard", "1/1", "--out", tmp_path / "facts", "--nonce", NONCE)
    refused = pol("verify", proof_copy, *TASK, *options)
    assert refused.exit_code == 2
    assert "records: has 0 bytes, expected 1280" in refused.stderr
    assert not (tmp_path / "facts").exists()
