"""Initial states that come from elsewhere: an earlier proof, a chain of them, or weights that no proof is about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from conftest import NONCE
from forge import Forger, edit_document, refused
from orbax.checkpoint import v1 as ocp

from pol_jax.cli.main import pol
from pol_jax.errors import UsageError
from pol_jax.program.artifact import Program, Signature
from pol_jax.progress import Silent
from pol_jax.protocol.challenge import AllSegments, ListedSegments, ListedSteps, RandomSegments
from pol_jax.protocol.commitment import Commitment, ProgramCommitment
from pol_jax.protocol.initial import EarlierProof, Initial, UnprovenWeights
from pol_jax.protocol.limits import Limits
from pol_jax.proving import commit
from pol_jax.proving.commit import Choices, write_commitment
from pol_jax.proving.fine_tuning import Start, choose
from pol_jax.proving.opener import open_steps
from pol_jax.proving.recording import Recording, train
from pol_jax.reports.html import render
from pol_jax.reports.report import Beginning, Outcome, Report, Verdict
from pol_jax.sandbox import verify as isolation
from pol_jax.storage.checkpoints import load_checkpoint, load_weights
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.training import initial_state as start
from pol_jax.training.initial_state import first_key
from pol_jax.training.pytrees import state_spec
from pol_jax.training.records import Arrays
from pol_jax.training.task import Task
from pol_jax.verifying import ancestry as lineage
from pol_jax.verifying import opening_verifier
from pol_jax.verifying.ancestry import MOST_ANCESTORS, Lineage, trace
from pol_jax.verifying.initial_test import ks_test

SOURCE = tiny.plain().source
STEPS, INTERVAL = 4, 2
SIZE = 256
WEIGHTS = {"params": {"w": np.linspace(-1, 1, 48, dtype=np.float32).reshape(16, 3)}}
TAKEN = ("/params/b", "/params/w")

Verify = Callable[..., Report]


def tune(path: Path, source: Any, *take: str, seed: str = "child", **changes: Any) -> Proof:
    """A short run that starts from ``source``."""
    choices = Choices(interval=INTERVAL, seed=seed, start=Start(source, take or ("/params",)))
    return train(tiny.plain(), path, steps=STEPS, choices=choices, **changes)


def digest(path: Path) -> str:
    claim = open_proof(path).claim
    assert claim is not None
    return claim.digest().hex()


def leaves(path: Path, step: int) -> dict[str, np.ndarray]:
    proof = open_proof(path)
    return {leaf.path: np.asarray(x) for leaf, x in zip(proof.commitment.state, proof.leaves(step), strict=True)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, plain_proof: Path) -> Path:
    """A chain base, child, grandchild; and one from weights, unproven, grown."""
    folder = tmp_path_factory.mktemp("chain")
    shutil.copytree(plain_proof, folder / "base")
    tune(folder / "child", open_proof(folder / "base"))
    tune(folder / "grandchild", open_proof(folder / "child"), "")
    tune(folder / "unproven", WEIGHTS)
    tune(folder / "grown", open_proof(folder / "unproven"))
    return folder


@pytest.fixture
def child(runs: Path, tmp_path: Path) -> Forger:
    """A copy of the child that a test may change."""
    return Forger(Path(shutil.copytree(runs / "child", tmp_path / "copy")))


@pytest.fixture
def check(runs: Path, verify_plain: Verify) -> Verify:
    """Verify a proof with its parents, which are named by their places in `runs`."""

    def verify(path: Path, *parents: str | Path, **changes: Any) -> Report:
        return verify_plain(path, parents=[runs / parent for parent in parents], **changes)

    return verify


def undecided_start(report: Report, *words: str) -> None:
    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
    assert [stage.outcome for stage in report.stages[:7]] == [Outcome.PASSED] * 6 + [Outcome.INCONCLUSIVE]
    reason = next(reason for reason in report.reasons if reason.startswith("stage 7, initial state: "))
    assert all(word in reason for word in words), reason


# --- from an earlier proof ---------------------------------------------------------------------------------------


def test_leaves_of_an_earlier_proof_are_taken_over_and_the_others_are_not(runs: Path) -> None:
    base, child = leaves(runs / "base", 24), leaves(runs / "child", 0)
    for path in TAKEN:
        np.testing.assert_array_equal(child[path], base[path])
    for path in ("/count", "/key", "/momentum"):
        assert not np.array_equal(child[path], base[path]), path
    assert open_proof(runs / "grandchild").commitment.initial.leaves == ("/count", "/momentum", "/nothing", *TAKEN)


def test_fine_tuning_is_accepted_with_the_proof_that_it_starts_from(runs: Path, check: Verify) -> None:
    report = check(runs / "child", "base")
    assert report, report.reasons
    assert report.reasons == ("the initial state and all 2 challenged segments came out bit for bit",)
    initial = open_proof(runs / "child").commitment.initial
    assert isinstance(initial, EarlierProof)
    provenance = report.provenance
    assert (provenance.beginning, provenance.claim) == (Beginning.EARLIER_PROOF, digest(runs / "base"))
    assert (provenance.taken, provenance.values, provenance.leaves) == (TAKEN, 51, 6)
    assert provenance.digest == initial.digest
    (ancestor,) = report.ancestors
    assert (ancestor.claim, ancestor.verdict, ancestor.task) == (digest(runs / "base"), Verdict.ACCEPTED, "tiny plain")
    assert ancestor.coverage.replayed == (0, 1, 2, 3)
    assert "2 of 6 leaves (51 values)" in report.stages[6].detail
    assert "that is accepted" in report.stages[6].detail


def test_a_chain_is_verified_to_its_beginning(runs: Path, check: Verify) -> None:
    report = check(runs / "grandchild", "base", "child", "unproven", nonce=NONCE, policy=RandomSegments())
    assert report, report.reasons
    assert [each.claim for each in report.ancestors] == [digest(runs / "child"), digest(runs / "base")]
    assert {each.verdict for each in report.ancestors} == {Verdict.ACCEPTED}


def test_another_process_verifies_a_chain_with_the_records_of_each(runs: Path) -> None:
    asked = []

    def source(commitment: Commitment) -> Arrays:
        asked.append(commitment.nonce)
        return SOURCE

    reported = isolation.verify(runs / "child", source, policy=AllSegments(), nonce=NONCE, parents=[runs / "base"])
    assert reported, reported.reasons
    assert asked == ["tests", "child"]
    assert [each.verdict for each in reported.ancestors] == [Verdict.ACCEPTED]


def test_a_proof_that_is_not_given_leaves_a_doubt(runs: Path, check: Verify) -> None:
    report = check(runs / "child", "unproven")
    undecided_start(report, digest(runs / "base"), "add --parent DIR")
    assert report.reasons[0] == (
        f"training starts from the run with the claim {digest(runs / 'base')}, which was not verified here"
    )
    assert report.stages[8].outcome is Outcome.PASSED
    assert report.ancestors == ()
    undecided_start(check(runs / "grandchild", "child"), digest(runs / "child"), digest(runs / "base"))


def test_false_steps_are_rejected_though_the_start_is_in_doubt(child: Forger, check: Verify) -> None:
    child.change(3, state=bytes(32))
    child.write()
    refused(check(child.root), 9, "step 3 differs from the ledger")


def test_a_rejected_proof_is_no_start(runs: Path, tmp_path: Path, check: Verify) -> None:
    """False steps in the earlier run, and an honest run from where they led."""
    forger = Forger(Path(shutil.copytree(runs / "base", tmp_path / "base")))
    forger.train_on(SOURCE, 18, 24, forger.perturbed(18))
    forger.write()
    tune(tmp_path / "child", open_proof(forger.root))
    report = check(tmp_path / "child", forger.root)
    assert report.verdict is Verdict.REJECTED
    assert [stage.outcome for stage in report.stages[6:]] == [Outcome.FAILED, *[Outcome.NOT_REACHED] * 2]
    assert (
        "is rejected: stage 9, replay: steps 13 to 18: the replay of step 18 differs from the ledger"
        in report.reasons[0]
    )
    assert [each.verdict for each in report.ancestors] == [Verdict.REJECTED]


def test_a_start_that_cannot_be_judged_here_leaves_a_doubt(runs: Path, check: Verify) -> None:
    other = Arrays(tiny.points(seed=2))
    report = check(runs / "child", "base", source=lambda c: SOURCE if c.nonce == "child" else other)
    undecided_start(report, "is inconclusive", "record")
    assert [each.verdict for each in report.ancestors] == [Verdict.INCONCLUSIVE]


def lie(monkeypatch: pytest.MonkeyPatch, change: Callable[[list[np.ndarray]], list[np.ndarray]]) -> None:
    """From now on, a prover names the earlier proof and takes over something else."""

    def chosen(begin: Start, state: Any) -> tuple[Initial, list[np.ndarray]]:
        initial, taken = choose(begin, state)
        taken = change(taken)
        spec = tuple(leaf for leaf in state if leaf.path in initial.leaves)
        return msgspec.structs.replace(initial, digest=start.digest_of(spec, taken)), taken

    monkeypatch.setattr(start, "choose", chosen)
    monkeypatch.setattr(commit, "choose", chosen)


def test_leaves_that_are_not_of_the_named_proof(
    runs: Path, tmp_path: Path, check: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better weights than the earlier run's, under its name; all else is consistent."""
    lie(monkeypatch, lambda taken: [taken[0], taken[1] + np.float32(1e-3)])
    tune(tmp_path / "child", open_proof(runs / "base"))
    report = check(tmp_path / "child", "base")
    assert (report.verdict, report.stages[6].outcome) == (Verdict.REJECTED, Outcome.FAILED)
    assert "not those of the final state of the proof that it comes from" in report.reasons[0]
    undecided_start(check(tmp_path / "child"), "is missing")
    elsewhere = Arrays(tiny.points(seed=2))  # so that nobody can judge the earlier steps
    report = check(tmp_path / "child", "base", source=lambda c: SOURCE if c.nonce == "child" else elsewhere)
    assert (report.verdict, report.ancestors[0].verdict) == (Verdict.REJECTED, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("leaf", "array"), [("float32[3] /more", np.ones(3, np.float32)), ("int32[1] /count", np.array([24], np.int32))]
)
def test_leaves_that_the_named_proof_has_not(
    leaf: str, array: np.ndarray, runs: Path, tmp_path: Path, check: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such path, or the same bytes in another shape."""
    path, plain = leaf.split()[1], tiny.plain()

    def wider(key: jax.Array) -> Any:
        return {**plain.init(key), "more": jax.random.normal(key, (3,)), "count": jnp.zeros(1, jnp.int32)}

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        new, metrics = plain.step({name: x for name, x in state.items() if name != "more"}, batch, key)
        return {**new, "more": state["more"]}, metrics

    def chosen(begin: Start, state: Any) -> tuple[Initial, list[np.ndarray]]:
        spec = tuple(leaf for leaf in state if leaf.path == path)
        return EarlierProof(digest(runs / "base"), (path,), start.digest_of(spec, [array])), [array]

    monkeypatch.setattr(start, "choose", chosen)
    monkeypatch.setattr(commit, "choose", chosen)
    task = Task("wider", wider, step, SOURCE, tiny.BATCH, STEPS, INTERVAL)
    train(task, tmp_path / "wide", choices=Choices(start=Start(open_proof(runs / "base"))))
    report = check(tmp_path / "wide", "base", source=SOURCE)
    assert (report.verdict, report.stages[6].outcome) == (Verdict.REJECTED, Outcome.FAILED)
    assert f"has no {leaf}" in report.reasons[0]


@pytest.mark.parametrize("beginning", ["child", "unproven"])
def test_other_leaves_than_the_committed_in_the_initial_state(
    beginning: str, runs: Path, tmp_path: Path, check: Verify
) -> None:
    """True steps from weights that are not the committed ones."""
    forger = Forger(Path(shutil.copytree(runs / beginning, tmp_path / "copy")))
    at = next(at for at, leaf in enumerate(forger.commitment.state) if leaf.path == "/params/w")
    forger.train_on(SOURCE, 0, STEPS, [x + np.float32(1e-3) if i == at else x for i, x in enumerate(forger.states[0])])
    forger.write()
    report = check(forger.root, "base")
    assert (report.verdict, report.stages[6].outcome) == (Verdict.REJECTED, Outcome.FAILED)
    assert any("checkpoints/0000000000: the leaves that were taken over are not" in line for line in report.reasons)


def test_leaves_that_are_not_taken_over_come_from_the_key(child: Forger, check: Verify) -> None:
    at = next(at for at, leaf in enumerate(child.commitment.state) if leaf.path == "/momentum")
    child.train_on(SOURCE, 0, STEPS, [x + 1 if i == at else x for i, x in enumerate(child.states[0])])
    child.write()
    refused(check(child.root, "base"), 7, "the init program gives another one")


def test_a_list_of_segments_is_about_the_proof_and_not_about_its_parents(runs: Path, check: Verify) -> None:
    report = check(runs / "grown", "unproven", policy=ListedSegments((1,)))
    assert report, report.reasons
    assert report.coverage.replayed == (1,)
    assert report.ancestors[0].policy == RandomSegments()


def follow(runs: Path, way: tuple[str, ...]) -> lineage.Traced:
    proof = open_proof(runs / "child")
    known = {digest(runs / "base"): runs / "base"}
    return trace(proof.commitment, proof.claim, Lineage(known, way), lambda *_: pytest.fail("followed"), Limits())


def test_a_chain_that_meets_a_claim_again_is_refused(runs: Path) -> None:
    assert "again" in (follow(runs, (digest(runs / "base"),)).refusal or "")


def test_a_chain_is_followed_to_a_bound(runs: Path) -> None:
    found = follow(runs, ("00" * 32,) * MOST_ANCESTORS)
    assert found.refusal is None
    assert f"more than {MOST_ANCESTORS} earlier proofs" in (found.doubt or "")


# --- from weights of unproven origin -----------------------------------------------------------------------------


def test_weights_of_unproven_origin_are_named_first(runs: Path, check: Verify) -> None:
    report = check(runs / "unproven")
    assert report, report.reasons
    np.testing.assert_array_equal(leaves(runs / "unproven", 0)["/params/w"], WEIGHTS["params"]["w"])
    initial = open_proof(runs / "unproven").commitment.initial
    assert isinstance(initial, UnprovenWeights)
    expected = f"training starts from weights of unproven origin: /params/w; 48 values with the digest {initial.digest}"
    assert report.reasons[0] == expected
    assert report.provenance.beginning is Beginning.UNPROVEN_WEIGHTS
    assert json.loads(report.to_json())["reasons"][0] == expected
    page = render(report)
    assert page.index(expected) < page.index("Stages")
    assert "/params/w" in page


def test_a_chain_from_weights_of_unproven_origin_says_so(runs: Path, check: Verify) -> None:
    report = check(runs / "grown", "unproven")
    assert report, report.reasons
    claim = digest(runs / "unproven")
    assert report.reasons[0].startswith(f"the run of claim {claim[:16]}… starts from weights of unproven origin: ")
    assert [each.verdict for each in report.ancestors] == [Verdict.ACCEPTED]
    assert f"{claim[:16]}…: accepted" in render(report)


def test_weights_of_any_orbax_checkpoint(runs: Path, tmp_path: Path) -> None:
    ocp.save(tmp_path / "elsewhere", {"params": {**WEIGHTS["params"], "b.ias": np.zeros(2)}, "list": [np.ones(1)]})
    loaded = load_weights(tmp_path / "elsewhere")
    np.testing.assert_array_equal(loaded["params"]["w"], WEIGHTS["params"]["w"])
    assert loaded["params"]["b.ias"].shape == (2,)
    mine = load_weights(runs / "base" / "checkpoints" / "0000000024")
    np.testing.assert_array_equal(mine["params"]["w"], leaves(runs / "base", 24)["/params/w"])
    with pytest.raises(UsageError, match="no checkpoint that Orbax can read"):
        load_weights(tmp_path)


# --- choosing, and going on --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "take", "words"),
    [
        (WEIGHTS, "/prams", "the state has no leaf there"),
        (WEIGHTS, "params", "the state has no leaf there"),
        (WEIGHTS, "/par", "the state has no leaf there"),
        (WEIGHTS, "/params/b", "the source has no /params/b; it has /params/w"),
        ({"params": {"w": np.zeros((16, 4), np.float32)}}, "/params", r"float32\[16, 3\], and float32\[16, 4\] in the"),
        ({"params": {"w": np.zeros((16, 3))}}, "", "and float64"),
        ({"key": jax.random.key(0)}, "/key", "it has no arrays"),
        ({"key": np.zeros(2, np.uint32)}, "/key", "nothing to take at /key"),
        ({}, "", "nothing to take at /"),
    ],
)
def test_nothing_to_take(source: Any, take: str, words: str, plain_proof: Path) -> None:
    with pytest.raises(UsageError, match=words):
        choose(Start(source, (take,)), open_proof(plain_proof).commitment.state)


def test_leaves_of_other_shapes_come_from_the_key(plain_proof: Path) -> None:
    """A new head: what the source has there does not fit, or is not there."""
    proof = open_proof(plain_proof)
    source = {"params": {**WEIGHTS["params"], "b": np.zeros(5, np.float32)}, "momentum": np.zeros(3)}
    initial, taken = choose(Start(source), proof.commitment.state)
    assert initial.leaves == ("/params/w",)
    np.testing.assert_array_equal(taken[0], WEIGHTS["params"]["w"])
    assert choose(Start(proof), proof.commitment.state)[0].leaves == ("/count", "/momentum", "/nothing", *TAKEN)


def test_a_damaged_or_unfinished_proof_is_no_start(plain_proof: Path, tmp_path: Path) -> None:
    state = open_proof(plain_proof).commitment.state
    forger = Forger(Path(shutil.copytree(plain_proof, tmp_path / "damaged")))
    forger.states[24] = forger.perturbed(24)
    forger.write()
    with pytest.raises(UsageError, match="its final state is not the claimed one"):
        choose(Start(open_proof(forger.root)), state)
    (forger.root / "claim.json").unlink()
    with pytest.raises(UsageError, match="the run is not finished"):
        choose(Start(open_proof(forger.root)), state)


def test_an_interrupted_run_goes_on_without_its_start(runs: Path, tmp_path: Path) -> None:
    choices = Choices(interval=INTERVAL, seed="child", start=Start(open_proof(runs / "base"), ("/params",)))
    with Recording(tiny.plain(), tmp_path / "run", steps=STEPS, choices=choices) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == 3:
                break
    other = Choices(start=Start(WEIGHTS))
    with pytest.raises(UsageError, match="start: this run is committed to another one"):
        train(tiny.plain(), tmp_path / "run", choices=other)
    train(tiny.plain(), tmp_path / "run")
    assert digest(tmp_path / "run") == digest(runs / "child")
    train(tiny.plain(), tmp_path / "run", choices=choices)  # finished, and the same


def test_a_run_killed_before_its_first_checkpoint_needs_its_start_again(runs: Path, tmp_path: Path) -> None:
    choices = Choices(interval=INTERVAL, seed="child", start=Start(open_proof(runs / "base"), ("/params",)))
    (tmp_path / "run").mkdir()
    write_commitment(tmp_path / "run", tiny.plain(), choices, Silent())
    with pytest.raises(UsageError, match="give the same start again"):
        train(tiny.plain(), tmp_path / "run", steps=STEPS)
    train(tiny.plain(), tmp_path / "run", steps=STEPS, choices=choices)
    assert digest(tmp_path / "run") == digest(runs / "child")


def test_a_plain_run_takes_no_start_later(plain_proof: Path) -> None:
    with pytest.raises(UsageError, match="start: this run is committed to another one"):
        train(tiny.plain(), plain_proof, choices=Choices(start=Start(WEIGHTS)))


# --- hostile documents -------------------------------------------------------------------------------------------


def wounds() -> Iterator[tuple[str, Any, str]]:
    yield "unknown path", {"leaves": ["/params/v"]}, "initial.leaves"
    yield "twice", {"leaves": ["/params/w", "/params/w"]}, "initial.leaves"
    yield "unsorted", {"leaves": ["/params/w", "/params/b"]}, "initial.leaves"
    yield "none", {"leaves": []}, "initial.leaves"
    yield "a part of a path", {"leaves": ["/params"]}, "initial.leaves"
    yield "a key", {"leaves": ["/key"]}, "is a PRNG key"
    yield "no list", {"leaves": "/params/w"}, "leaves"
    yield "a short digest", {"digest": "00" * 31}, "digest"
    yield "a short claim", {"claim": "00" * 31}, "claim"
    yield "no claim", {"claim": None}, "claim"
    yield "another origin", {"origin": "elsewhere"}, "origin"
    yield "a claim of weights", {"origin": "weights"}, "claim"
    yield "leaves from the key", {"origin": "key"}, "initial"


@pytest.mark.parametrize(("change", "words"), [pytest.param(*case[1:], id=case[0]) for case in wounds()])
def test_initial_that_breaks_the_rules(change: dict[str, Any], words: str, child: Forger, check: Verify) -> None:
    edit_document(child.root, "commitment.json", lambda plain: plain["initial"].update(change))
    refused(check(child.root, "base"), 3, "commitment.json", words)


@pytest.mark.parametrize("change", [{"claim": "00" * 32}, {"digest": "00" * 32}, {"leaves": ["/params/w"]}])
def test_a_start_cannot_be_changed_afterwards(change: dict[str, Any], child: Forger, check: Verify) -> None:
    """It is in the commitment, and that in every key."""
    child.commit_to(lambda plain: plain["initial"].update(change))
    child.write()
    refused(check(child.root, "base"), 5, "key is not the one")


def test_a_parent_that_is_no_proof_is_an_error(runs: Path, tmp_path: Path, check: Verify) -> None:
    with pytest.raises(UsageError, match="no finished proof here"):
        check(runs / "child", tmp_path)
    broken = Path(shutil.copytree(runs / "base", tmp_path / "base"))
    (broken / "claim.json").write_bytes(b"{}")
    with pytest.raises(UsageError, match="no finished proof here"):
        check(runs / "child", broken)


# --- openings ----------------------------------------------------------------------------------------------------


def opened(root: Path, tmp_path: Path) -> Report:
    write_opening(tmp_path / "opening", open_steps(open_proof(root), SOURCE, (1,)))
    return opening_verifier.verify_opening(root / "claim.json", tmp_path / "opening", ListedSteps((1,)), b"")


@pytest.mark.parametrize("abroad", [False, True])
def test_an_opening_says_what_it_does_not_show(
    abroad: bool, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if abroad:
        other_bits(monkeypatch)
    tune(tmp_path / "child", open_proof(runs / "base"), "/params/b")
    report = opened(tmp_path / "child", tmp_path)
    assert report, report.reasons
    assert (
        report.reasons[0]
        == f"training starts from the run with the claim {digest(runs / 'base')}, which was not verified here"
    )
    assert [each.start for each in report.compared] == ([-1] if abroad else [])


def test_an_opening_names_weights_of_unproven_origin_first(runs: Path, tmp_path: Path) -> None:
    report = opened(runs / "unproven", tmp_path)
    assert report, report.reasons
    assert report.reasons[0].startswith("training starts from weights of unproven origin: /params/w; 48 values")


def other_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that is not the prover's, whose initial state has other last bits."""
    here = opening_verifier.current_environment()
    elsewhere = msgspec.structs.replace(here, jaxlib="0.0.1")
    monkeypatch.setattr(opening_verifier, "current_environment", lambda: elsewhere)
    monkeypatch.setattr(opening_verifier, "initial_is_exact", lambda opened: False)


@pytest.mark.parametrize(
    ("path", "words"), [("/params/w", "the leaves that were taken over"), ("/momentum", "another")]
)
def test_a_false_initial_state_in_an_opening(path: str, words: str, child: Forger, tmp_path: Path) -> None:
    at = next(at for at, leaf in enumerate(child.commitment.state) if leaf.path == path)
    child.train_on(SOURCE, 0, STEPS, [x + x.dtype.type(1) if i == at else x for i, x in enumerate(child.states[0])])
    child.write()
    report = opened(child.root, tmp_path)
    assert (report.verdict, report.stages[6].outcome) == (Verdict.REJECTED, Outcome.FAILED)
    assert any(words in reason for reason in report.reasons[1:])


def test_what_is_not_taken_over_is_judged_by_its_own_size_on_another_backend(
    tmp_path: Path, child: Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = next(at for at, leaf in enumerate(child.commitment.state) if leaf.path == "/momentum")
    child.train_on(SOURCE, 0, STEPS, [x + x.dtype.type(1e-6) if i == at else x for i, x in enumerate(child.states[0])])
    child.write()
    other_bits(monkeypatch)
    report = opened(child.root, tmp_path)
    assert report.verdict is not Verdict.ACCEPTED
    assert report.compared[0].start == -1
    assert report.compared[0].update < 1e-3  # of 48 times 1e-6, not of the weights that were taken over


# --- the command line --------------------------------------------------------------------------------------------


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(pol, [str(argument) for argument in arguments])


def test_commands(runs: Path, tmp_path: Path) -> None:
    base, out = runs / "base", tmp_path / "tuned"
    train_it = ("train", "tiny:plain", "--out", out, "--steps", STEPS, "--interval", INTERVAL, "--seed", "child")
    trained = run(*train_it, "--start-from", base, "--take", "/params")
    assert trained.exit_code == 0, trained.output
    assert "initial state: 2 of 6 leaves (51 values) come from the final state of claim" in trained.output
    assert digest(out) == digest(runs / "child")
    shown = run("inspect", out)
    assert digest(base)[:16] in shown.output
    assert "/params/b, /params/w" in shown.output
    verify = ("verify", out, "--task", "tiny:plain", "--all")
    verified = run(*verify, "--parent", base)
    assert verified.exit_code == 0, verified.output
    assert f"earlier proof of tiny plain, claim {digest(base)[:16]}…: accepted" in verified.output
    missing = run(*verify)
    assert missing.exit_code == 3
    assert missing.output.startswith("training starts from the run with the claim")
    assert "add --parent DIR" in missing.output


def test_commands_for_weights(runs: Path, tmp_path: Path) -> None:
    train_it = ("train", "tiny:plain", "--out", tmp_path / "tuned", "--steps", STEPS)
    source = runs / "base" / "checkpoints" / "0000000024"
    trained = run(*train_it, "--start-from-weights", source, "--take", "/params/w", "--take", "/momentum")
    assert trained.exit_code == 0, trained.output
    assert open_proof(tmp_path / "tuned").commitment.initial.leaves == ("/momentum", "/params/w")
    verified = run("verify", tmp_path / "tuned", "--task", "tiny:plain", "--task", "tiny:nested")
    assert verified.exit_code == 0, verified.output
    assert verified.output.startswith(
        "training starts from weights of unproven origin: /momentum, /params/w; 96 values"
    )
    for wrong in (("--take", "/params"), ("--start-from", runs / "base", "--start-from-weights", source)):
        result = run(*train_it, *wrong)
        assert isinstance(result.exception, UsageError), result.output
    result = run("verify", tmp_path / "tuned", "--task", "tiny:linen", "--task", "tiny:nested")
    assert "none of those is called" in str(result.exception) or result.exit_code == 2


# --- the statistical test ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def layered(plain_proof: Path) -> tuple[Program, Commitment]:
    """The ``init`` of 21 random layers, and one that is constant; and a commitment, whatever jax there is."""

    def init(key: jax.Array) -> tuple[jax.Array, ...]:
        keys = jax.random.split(jax.random.wrap_key_data(key), 21)
        return (jnp.zeros(SIZE), *(jax.random.normal(key, (SIZE,)) for key in keys))

    commitment = open_proof(plain_proof).commitment
    state = state_spec({f"{at:02}": jnp.zeros(SIZE) for at in range(22)})
    program = ProgramCommitment("00" * 32, "11" * 32, ("loss",))
    commitment = msgspec.structs.replace(commitment, state=state, program=program)
    return Program(Signature.of(commitment), jax.jit(init), lambda *_: pytest.fail("stepped"), 0), commitment


def test_honest_initial_states_pass_the_corrected_test(layered: tuple[Program, Commitment]) -> None:
    """Without a correction for the number of layers, the paper's test rejects many of them."""
    program, commitment = layered
    found = []
    for seed in range(30):
        seeded = msgspec.structs.replace(commitment, nonce=str(seed))
        state = [np.asarray(leaf) for leaf in program.init(first_key(seeded))]
        found.append(ks_test(program, seeded, state))
    assert {each.leaves for each in found} == {21}
    assert sum(each.smallest_p < 0.01 for each in found) <= 1
    assert sum(each.smallest_p / 21 < 0.01 for each in found) >= 3


def test_what_was_not_drawn_fails_the_test(layered: tuple[Program, Commitment]) -> None:
    program, commitment = layered
    state = [np.asarray(leaf) for leaf in program.init(first_key(commitment))]
    honest = ks_test(program, commitment, state)
    assert honest.smallest_p > 0.01
    for odd in (3 * state[5], np.full(SIZE, np.nan, np.float32), np.linspace(0, 1, SIZE, dtype=np.float32)):
        found = ks_test(program, commitment, [odd if at == 5 else leaf for at, leaf in enumerate(state)])
        assert found.smallest_p < 0.01
        assert found.path == "/05"
    constant = ks_test(program, commitment, [np.ones(SIZE, np.float32), *state[1:]])
    assert constant == honest  # not drawn at random: another check's affair
    taken = msgspec.structs.replace(commitment, initial=UnprovenWeights(("/05",), "00" * 32))
    assert ks_test(program, taken, state).leaves == 20


def test_the_test_decides_nothing(plain_proof: Path, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    report = verify_plain(plain_proof)
    assert report
    assert (report.initial_test.leaves, report.initial_test.path) == (1, "/params/w")
    assert "Kolmogorov-Smirnov test of the random leaves (1): smallest corrected p-value" in report.stages[6].detail
    assert "Kolmogorov-Smirnov" in render(report)
    monkeypatch.setattr("pol_jax.verifying.initial_test._p_value", lambda *_: 0.0)
    odd = verify_plain(plain_proof)
    assert odd.initial_test.smallest_p == 0.0
    assert odd, odd.reasons


def test_trained_weights_look_trained(plain_proof: Path) -> None:
    """Of this task, 24 steps from its initial state are enough."""
    proof = open_proof(plain_proof)
    state = load_checkpoint(plain_proof, 24, proof.commitment.state)
    assert ks_test(proof.program(), proof.commitment, state).smallest_p < 0.01
