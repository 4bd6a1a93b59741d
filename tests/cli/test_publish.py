"""`pol publish` writes the bundle that is challenged later; bundles that are mixed up are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import pol
from timestamp_authority import Authority

from pol_jax.attesting.timestamp import make_request


@pytest.fixture(scope="module")
def published(signed: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ``proof`` that was timestamped, its ``bundle``, and an ``opening`` of steps 1 and 12."""
    folder = tmp_path_factory.mktemp("published")
    proof = shutil.copytree(signed / "proof", folder / "proof")
    attestations = proof / "attestations"
    for document, token in (
        (proof / "commitment.json", "commitment.tsr"),
        (attestations / "claim.dsse.json", "claim.tsr"),
    ):
        (attestations / token).write_bytes(authority.answer(make_request(document.read_bytes())))
    (attestations / "notes.txt").write_text("not for everyone")
    done = pol("publish", proof, "--out", folder / "bundle")
    assert done.exit_code == 0, done.output
    assert not done.stderr
    opened = pol("open", proof, "--out", folder / "opening", "--task", "tiny:plain", "--steps", "1,12")
    assert opened.exit_code == 0, opened.output
    return folder


def names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_what_a_killed_call_left_is_no_obstacle(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        patched.setattr(Path, "rename", stop)
        assert pol("publish", published / "proof", "--out", out).exit_code != 0
    (left,) = tmp_path.iterdir()
    assert left != out
    done = pol("publish", published / "proof", "--out", out)
    assert done.exit_code == 0, done.output
    assert names(out) == names(published / "bundle")
    assert set(tmp_path.iterdir()) == {left, out}


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_bundle_is_small_and_holds_what_is_public(published: Path, signed: Path, authority: Authority) -> None:
    bundle = published / "bundle"
    attestations = ("claim.dsse.json", "claim.tsr", "commitment.dsse.json", "commitment.tsr")
    assert names(bundle) == {"claim.json", "commitment.json", *(f"attestations/{name}" for name in attestations)}
    assert sum(path.stat().st_size for path in bundle.rglob("*")) < 2**16
    signer = (signed / "signer").read_text().strip()
    checked = pol("check", bundle, "--signer", signer, "--tsa-roots", authority.root)
    assert checked.exit_code == 0, checked.output
    for words in ("This is the public part of a proof", "the signer that was asked for", "Training ended before"):
        assert words in checked.stdout
    assert pol("check", bundle, "--arrays").exit_code == 2
    alone = pol("verify", bundle, "--task", "tiny:plain")  # an honest one is not rejected: nothing was asked of it yet
    assert (alone.exit_code, "is the public part of a proof" in alone.stderr) == (2, True)


@pytest.mark.usefixtures("in_process")
def test_a_bundle_and_an_opening_are_verified_together(published: Path, signed: Path) -> None:
    signer = (signed / "signer").read_text().strip()
    asked = ("--opening", published / "opening", "--steps", "1,12", "--signer", signer)
    done = pol("verify", published / "bundle", *asked)
    assert done.exit_code == 0, done.output
    assert "the signer that was asked for" in done.stdout


@pytest.mark.usefixtures("in_process")
def test_the_bundle_of_one_with_the_opening_of_another_is_refused(published: Path, runs: Path, tmp_path: Path) -> None:
    assert pol("publish", runs / "a", "--out", tmp_path / "other").exit_code == 0
    opening = ("--opening", published / "opening", "--steps", "1,12")
    refused = pol("verify", tmp_path / "other", *opening)
    assert (refused.exit_code, "this opens another claim" in refused.stdout) == (1, True)
    for name in ("claim.json", "commitment.json"):
        mixed = shutil.copytree(published / "bundle", tmp_path / name)
        shutil.copyfile(runs / "a" / name, mixed / name)
        refused = pol("check", mixed)
        assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (1, 1), refused.output
    stolen = shutil.copytree(tmp_path / "other", tmp_path / "stolen")
    shutil.copytree(published / "bundle" / "attestations", stolen / "attestations")
    refused = pol("check", stolen)
    assert (refused.exit_code, "signs another claim" in refused.stderr) == (1, True)


def test_nothing_is_published_that_is_false_or_unfinished(signed: Path, runs: Path, tmp_path: Path) -> None:
    unsigned = pol("publish", runs / "a", "--out", tmp_path / "unsigned")
    assert (unsigned.exit_code, "the claim is not signed" in unsigned.stderr) == (0, True)
    published = pol("publish", runs / "a", "--out", tmp_path / "unsigned")
    assert (published.exit_code, "exists already" in published.stderr) == (2, True)
    wounded = shutil.copytree(signed / "proof", tmp_path / "wounded")
    shutil.copyfile(runs / "a" / "claim.json", wounded / "attestations" / "claim.dsse.json")
    damaged = shutil.copytree(runs / "a", tmp_path / "damaged")
    (damaged / "records").write_bytes(b"")
    before = names(tmp_path)
    for proof, code in ((wounded, 1), (damaged, 1), (tmp_path / "none", 2), (tmp_path / "unsigned", 0)):
        assert pol("publish", proof, "--out", tmp_path / "out").exit_code == code
        assert (tmp_path / "out").exists() == (code == 0)
    assert {name for name in names(tmp_path) - before if not name.startswith("out/")} == set()
