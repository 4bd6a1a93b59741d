"""`pol timestamp` asks an authority over the network, or writes and reads files that somebody carries."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import pol
from timestamp_authority import Authority, reply, serving

from pol_jax.attesting.timestamp import make_request, read_roots, verify_token


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A file to timestamp."""
    path = tmp_path / "envelope.json"
    path.write_bytes(b'{"payload":""}')
    return path


def test_an_authority_is_asked_over_http(authority: Authority, document: Path, tmp_path: Path) -> None:
    out = tmp_path / "claim.tsr"
    with serving(lambda handler, body: reply(handler, authority.answer(body))) as url:
        done = pol("timestamp", document, "--tsa", url, "--out", out)
        assert done.exit_code == 0, done.output
        assert pol("timestamp", document, "--tsa", url, "--out", out).exit_code == 2
    assert verify_token(out.read_bytes(), document.read_bytes(), read_roots(authority.root), where="claim.tsr")


def test_request_and_response_are_carried(authority: Authority, document: Path, tmp_path: Path) -> None:
    request, response, out = tmp_path / "request.tsq", tmp_path / "response.tsr", tmp_path / "claim.tsr"
    assert pol("timestamp", document, "--request", request).exit_code == 0
    response.write_bytes(authority.answer(request.read_bytes()))
    carried = ("--request", request, "--response", response, "--out", out)
    done = pol("timestamp", document, *carried)
    assert done.exit_code == 0, done.output
    assert out.read_bytes() == response.read_bytes()


def test_a_foreign_response_or_request_is_not_stored(authority: Authority, document: Path, tmp_path: Path) -> None:
    request, response, out = tmp_path / "request.tsq", tmp_path / "response.tsr", tmp_path / "claim.tsr"
    carried = ("--request", request, "--response", response, "--out", out)
    for asked, answered, problem in (
        (make_request(b"another"), make_request(b"another"), "is no request for"),
        (make_request(document.read_bytes()), make_request(b"another"), "over another digest"),
        (make_request(document.read_bytes()), make_request(document.read_bytes()), "another nonce"),
    ):
        request.write_bytes(asked)
        response.write_bytes(authority.answer(answered))
        refused = pol("timestamp", document, *carried)
        assert (refused.exit_code, problem in refused.stderr) == (2, True), refused.output
        assert not out.exists()


def test_calls_that_are_incomplete_are_one_line(document: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    for arguments in (
        (),
        ("--tsa", "http://127.0.0.1:1/"),
        ("--out", file),
        ("--response", file, "--out", file),
        ("--request", file, "--out", file),
        ("--tsa", "file:///etc/passwd", "--out", file),
        ("--tsa", "http://127.0.0.1:1/", "--out", file),
    ):
        wrong = pol("timestamp", document, *arguments)
        assert wrong.exit_code == 2, wrong.output
        assert len(wrong.stderr.strip().splitlines()) == 1
        assert not file.exists()
    assert pol("timestamp", tmp_path / "none", "--request", file).exit_code == 2
