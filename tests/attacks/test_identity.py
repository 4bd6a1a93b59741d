"""A thief's attempts on who, when and which: look-alike names, fields that aren't theirs, times that overflow."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tiny
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from example_reports import HOSTILE
from places import TESTS
from unsandboxed import verify

from pol_jax.attesting import envelope
from pol_jax.attesting.attestation import PREDICATE_TYPES, STATEMENT_TYPE, attest_claim, read_attestation
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.folder import BEACON, CLAIM, DIRECTORY, attestation_path
from pol_jax.attesting.public_key import public_text, read_signer
from pol_jax.attesting.strict_json import canonical_bytes
from pol_jax.attesting.subjects import PARAMETERS, STATE, name_final
from pol_jax.attesting.time_window import Timestamp, TimeWindow, Work, window_of
from pol_jax.errors import ProofError, UsageError
from pol_jax.progress import Silent
from pol_jax.protocol.policies import ListedSegments
from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.reports.html import render
from pol_jax.reports.identity import Authorship, Deployed, Period
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.reports.wording.identity import summary
from pol_jax.sandbox.messages import Finished
from pol_jax.sandbox.parent import Caller
from pol_jax.sandbox.process import ProcessLost
from pol_jax.storage.final_arrays import read_final_state, select_parameters
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.attestations import recorded_work
from pol_jax.verifying.request import ProofRequest

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
THIEF = Ed25519PrivateKey.from_private_bytes(bytes(32))
OWNER = public_text(KEY)


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The owner's proof."""
    root = tmp_path_factory.mktemp("owned") / "proof"
    train(tiny.plain(), root, steps=6, key=KEY)
    return root


@pytest.fixture
def copy(owned: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(owned, tmp_path / "copy"))


def check(root: Path, signer: str | None = None) -> Report:
    return verify(root, tiny.plain().source, policy=ListedSegments((0,)), signer=signer)


def test_a_proof_that_names_the_owner_without_their_key_is_never_theirs(tmp_path: Path) -> None:
    """A public key is public: anyone may commit to it, and nobody but its owner can sign what comes out."""
    root = tmp_path / "forged"
    train(tiny.plain(), root, steps=6, choices=Choices(prover=OWNER))
    report = check(root, OWNER)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.authorship == Authorship(OWNER, None, commitment_signed=False, pinned=OWNER)
    state = read_final_state(open_proof(root))
    subjects = name_final(parameters=digest_arrays(select_parameters(state)), state=digest_arrays(state))
    attestation_path(root, CLAIM).parent.mkdir()
    attestation_path(root, CLAIM).write_bytes(attest_claim((root / "claim.json").read_bytes(), subjects, THIEF))
    assert check(root, OWNER).verdict is Verdict.REJECTED
    assert check(root, public_text(THIEF)).verdict is Verdict.REJECTED


@pytest.mark.parametrize(
    "name", ["final p\u0430rameters", "final\u00a0parameters", "Final parameters", "final parameters "]
)
def test_a_look_alike_of_a_subject_is_none(name: str, owned: Path) -> None:
    digests = {"blake3": "0" * 64, "sha256": "0" * 64}
    statement = {
        "_type": STATEMENT_TYPE,
        "predicate": {"claim": json.loads((owned / "claim.json").read_bytes()), "seconds_per_step": None},
        "predicateType": PREDICATE_TYPES["claim"],
        "subject": [{"digest": digests, "name": each} for each in (name, STATE)],
    }
    content = envelope.sign(canonical_bytes(statement), KEY)
    with pytest.raises(ProofError, match=f"{PARAMETERS}|printable"):
        read_attestation(content, "claim", where="a")


def test_a_pace_that_overflows_is_a_refusal_and_no_crash(copy: Path) -> None:
    state = read_final_state(open_proof(copy))
    subjects = name_final(parameters=digest_arrays(select_parameters(state)), state=digest_arrays(state))
    claim = (copy / "claim.json").read_bytes()
    attestation_path(copy, CLAIM).write_bytes(attest_claim(claim, subjects, KEY, 1e9))
    assert check(copy).verdict is Verdict.ACCEPTED, "six steps of thirty years are no overflow"
    huge = json.loads(claim) | {"steps": 2**26}
    signed = read_attestation(attest_claim(canonical_bytes(huge), subjects, KEY, 1e9), "claim", where="a")
    proved = open_proof(copy).claim
    assert proved is not None
    with pytest.raises(ProofError, match="are no possible time of a training"):
        recorded_work(signed, msgspec.structs.replace(proved, steps=2**26))


def test_a_round_beside_a_commitment_that_names_none_shows_nothing(copy: Path) -> None:
    drawn = json.loads((TESTS / "attesting" / "vectors" / "drand_published.json").read_text())[2]["round"]
    attestation_path(copy, BEACON).write_text(json.dumps(drawn))
    report = check(copy)
    assert report.period is not None
    assert (report.verdict, report.period.window.not_before) == (Verdict.ACCEPTED, None)


def test_attestations_elsewhere_are_not_read_through_a_link(owned: Path, copy: Path) -> None:
    shutil.rmtree(copy / DIRECTORY)
    (copy / DIRECTORY).symlink_to(owned / DIRECTORY)
    report = check(copy)
    assert report.authorship is not None
    assert report.authorship.signer is None
    assert check(copy, OWNER).verdict is Verdict.INCONCLUSIVE


def test_the_child_can_t_say_that_another_signer_was_asked_for(owned: Path) -> None:
    report = check(owned, OWNER)
    assert report.authorship is not None
    asked = ProofRequest(
        path=str(owned), policy=ListedSegments((0,)), nonce=bytes.fromhex(report.nonce), signer=public_text(THIEF)
    )
    caller = Caller(asked, tiny.plain().source, Silent())

    with pytest.raises(ProcessLost, match="another verification"):
        caller.answer(Finished(report.to_json()))


def test_words_of_others_stay_in_their_line(owned: Path) -> None:
    """Names of authorities, beacons and leaves are others' words: no line break, no direction mark, no markup."""
    report = check(owned, OWNER)
    window = TimeWindow(None, None, None, None, ())
    hostile = msgspec.structs.replace(
        report,
        period=Period(window, (HOSTILE,), (HOSTILE,)),
        deployed=Deployed("different", HOSTILE, (HOSTILE,), 0, False, None, None),
    )
    for question, answer in summary(hostile):
        assert answer.isprintable(), question
    page = render(hostile)
    assert "<script>alert" not in page
    assert "\u202e" not in page


def test_a_signer_is_one_spelling_of_one_key(tmp_path: Path) -> None:
    for given in (OWNER.upper(), OWNER.replace("e", "\u0435"), f"{OWNER} ", OWNER[:-1], f"{OWNER}00"):
        with pytest.raises(UsageError) as raised:
            read_signer(given)
        assert str(raised.value).isprintable()
    (tmp_path / "two").write_text(f"{OWNER}\n{public_text(THIEF)}\n")
    with pytest.raises(UsageError):
        read_signer(str(tmp_path / "two"))


def test_a_window_is_no_longer_than_its_times_say() -> None:
    """Times at the ends of what is allowed are compared and not overflown."""
    far = datetime(8999, 12, 31, tzinfo=UTC)
    stamp = Timestamp(far, timedelta(days=1), "CN=A", "1.2", 1)
    window = window_of(
        now=datetime(2026, 1, 1, tzinfo=UTC),
        commitment=stamp,
        envelope=replace(stamp),
        work=Work(1, 1e9, "recorded by the prover"),
    )
    assert not window
    assert any("in the future" in problem for problem in window.problems)
    assert np.isfinite(window.least_work.total_seconds() if window.least_work else 0)
