"""Timestamps of a real authority: what it says, and what is refused."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timestamp_authority import EXTENSIONS, Authority

from pol_jax.attesting.timestamp import MAX_RESPONSE_BYTES, check_response, make_request, read_roots, verify_token
from pol_jax.errors import ProofError, UsageError

MESSAGE = b'{"format":"pol-jax/1"}'


def test_an_authority_says_when(authority: Authority, token: bytes) -> None:
    found = verify_token(token, MESSAGE, read_roots(authority.root), where="claim.tsr")
    assert abs(found.time - datetime.now(UTC)) < timedelta(minutes=5)
    assert (found.accuracy, found.policy) == (timedelta(seconds=1.5), "1.2.3.4.1")
    assert found.authority == "CN=Test Authority,O=Tests"
    assert "by the word of CN=Test Authority" in found.describe("The claim")


@pytest.mark.parametrize("digits", [0, 1, 3, 6])
def test_fractions_of_a_second_are_cut_off(digits: int, tmp_path: Path) -> None:
    """Else a verdict could depend on the version of the library, which does so by itself so far."""
    authority = Authority(tmp_path / "tsa")
    with (authority.folder / "tsa.cnf").open("a") as file:
        file.write(f"clock_precision_digits = {digits}\n")
    token = authority.answer(make_request(MESSAGE))
    found = verify_token(token, MESSAGE, read_roots(authority.root), where="claim.tsr")
    assert found.time.microsecond == 0
    assert timedelta(0) <= datetime.now(UTC) - found.time < timedelta(minutes=5)
    assert found.end == found.latest + timedelta.resolution == found.time + timedelta(seconds=2.5)


@pytest.mark.parametrize("name", [b"Root of Test Authority", b"Test Authority", b"Tests"])
@pytest.mark.parametrize("tag", [0x02, 0x03, 0x05, 0x16, 0x1E, 0x30])
def test_names_of_other_types_are_refused_or_are_the_same_names(
    name: bytes, tag: int, authority: Authority, token: bytes
) -> None:
    """A library parses a certificate's names when they are asked for, and raises errors of many classes."""
    roots, found = read_roots(authority.root), verify_token(token, MESSAGE, read_roots(authority.root), where="t")
    at = token.find(bytes([0x0C, len(name)]) + name)
    while at >= 0:
        with suppress(ProofError):
            assert verify_token(token[:at] + bytes([tag]) + token[at + 1 :], MESSAGE, roots, where="t") == found
        at = token.find(bytes([0x0C, len(name)]) + name, at + 1)


def test_openssl_takes_the_same_files(authority: Authority, token: bytes, tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "token").write_bytes(token)
    call = ["openssl", "ts", "-verify", "-data", "message", "-in", "token", "-CAfile", str(authority.root)]
    assert subprocess.run(call, cwd=tmp_path, capture_output=True).returncode == 0


def test_the_pair_of_request_and_response(authority: Authority) -> None:
    one, other = make_request(MESSAGE), make_request(MESSAGE)
    assert one != other, "each has a nonce of its own"
    answer = authority.answer(one)
    check_response(one, answer, "claim.tsr")
    with pytest.raises(UsageError, match="another nonce"):
        check_response(other, answer, "claim.tsr")
    with pytest.raises(UsageError, match="another digest"):
        check_response(make_request(b"another"), answer, "claim.tsr")
    for damaged in (b"", one[:-1], one + b"\0", b"hello", one[:-4]):
        with pytest.raises(UsageError, match="make it again"):
            check_response(damaged, answer, "claim.tsr")
    with pytest.raises(UsageError, match="ask the authority again"):
        check_response(one, answer[:-1], "claim.tsr")
    with pytest.raises(UsageError, match="empty"):
        make_request(b"")


@settings(max_examples=150)
@given(st.binary(min_size=1, max_size=64))
def test_every_request_can_be_read_again(message: bytes) -> None:
    """Nonces of all lengths: the response that this is paired with is over another digest, which is seen later."""
    with pytest.raises(UsageError, match="no timestamp response"):
        check_response(make_request(message), b"", "claim.tsr")


def test_a_token_over_another_digest_is_refused(authority: Authority, token: bytes) -> None:
    with pytest.raises(ProofError, match="over another digest"):
        verify_token(token, MESSAGE + b" ", read_roots(authority.root), where="claim.tsr")


def test_a_foreign_authority_is_refused(authority: Authority, token: bytes, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", name="Another")
    with pytest.raises(ProofError, match=r"CN=Test Authority,O=Tests under the given roots \(CN=Root of Another\)"):
        verify_token(token, MESSAGE, read_roots(other.root), where="claim.tsr")
    same_name = Authority(tmp_path / "same")
    with pytest.raises(ProofError, match="under the given roots"):
        verify_token(token, MESSAGE, read_roots(same_name.root), where="claim.tsr")
    both = read_roots(other.root) + read_roots(authority.root)
    assert verify_token(token, MESSAGE, both, where="claim.tsr").policy == "1.2.3.4.1"
    with pytest.raises(UsageError, match="no root certificate"):
        verify_token(token, MESSAGE, (), where="claim.tsr")


def test_an_expired_authority_is_refused(tmp_path: Path) -> None:
    expired = Authority(tmp_path / "expired")
    expired.certify_for_the_past()
    answer = expired.answer(make_request(MESSAGE))
    with pytest.raises(ProofError, match="is valid from 2020-01-01 00:00:00 to 2021-01-01 00:00:00 UTC"):
        verify_token(answer, MESSAGE, read_roots(expired.root), where="claim.tsr")


@pytest.mark.parametrize("attempt", range(4))
def test_an_authority_with_an_intermediate_certificate(tmp_path: Path, attempt: int) -> None:
    """Openssl sends both certificates in the order of its configuration, which isn't always the sorted one."""
    authority = Authority(tmp_path / "tsa")
    authority.add_intermediate()
    answer = authority.answer(make_request(MESSAGE))
    assert verify_token(answer, MESSAGE, read_roots(authority.root), where="claim.tsr").serial == 2
    with pytest.raises(ProofError, match="under the given roots"):
        verify_token(answer, MESSAGE, read_roots(authority.folder / "middle.pem"), where="claim.tsr")


def forge(authority: Authority, *arguments: str) -> bytes:
    """Sign the very content of a token with openssl's CMS, as its arguments say."""
    folder = authority.folder
    (folder / "token.tsr").write_bytes(authority.answer(make_request(MESSAGE)))
    authority.run("ts -reply -in token.tsr -token_out -out token.der")
    authority.run("cms -verify -noverify -inform DER -in token.der -out content")
    authority.run(
        "cms -sign -binary -nodetach -in content -econtent_type 1.2.840.113549.1.9.16.1.4 -md sha256 -cades "
        "-inkey tsa.key -outform DER -out forged.der",
        *arguments,
    )
    forged = b"\x30\x03\x02\x01\x00" + (folder / "forged.der").read_bytes()
    return b"\x30\x82" + len(forged).to_bytes(2, "big") + forged


@pytest.mark.parametrize("purpose", ["critical,codeSigning", "timeStamping", "critical,serverAuth,emailProtection"])
def test_a_certificate_for_other_purposes_is_refused(authority: Authority, purpose: str) -> None:
    """The root certified a key for something else, and its holder signs the very content of a token with it."""
    (authority.folder / "other").write_text(EXTENSIONS.replace("critical,timeStamping", purpose))
    authority.run("x509 -req -in tsa.csr -CA root.pem -CAkey root.key -set_serial 9 -out other.pem -extfile other")
    with pytest.raises(ProofError, match=r"EKU|purpose"):
        verify_token(forge(authority, "-signer", "other.pem"), MESSAGE, read_roots(authority.root), where="claim.tsr")


def test_a_second_certificate_of_the_signers_number_is_refused(authority: Authority, tmp_path: Path) -> None:
    """A forger's root of the same name certifies another authority under the same number."""
    roots = read_roots(authority.root)
    assert verify_token(forge(authority, "-signer", "tsa.pem"), MESSAGE, roots, where="a").authority.startswith(
        "CN=Test"
    )
    forger = Authority(tmp_path / "forger")
    forger.run("req -new -key tsa.key -out tsa.csr -subj", "/CN=A Famous Authority")
    forger.certify()
    both = forge(authority, "-signer", "tsa.pem", "-certfile", str(forger.folder / "tsa.pem"))
    with pytest.raises(ProofError, match="is there twice"):
        verify_token(both, MESSAGE, roots, where="claim.tsr")


def test_an_authority_that_refuses_is_quoted(authority: Authority) -> None:
    request = bytearray(make_request(MESSAGE))
    at = request.index(bytes.fromhex("608648016503040201"))
    request[at + 8] = 2  # SHA-384, which this authority doesn't take
    with pytest.raises(ProofError, match="answered REJECTION"):
        verify_token(authority.answer(bytes(request)), MESSAGE, read_roots(authority.root), where="claim.tsr")


def test_another_hash_is_refused(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(MESSAGE)
    authority.run(f"ts -query -sha512 -cert -data {tmp_path}/message -out {tmp_path}/query")
    answer = authority.answer((tmp_path / "query").read_bytes())
    with pytest.raises(ProofError, match="expected SHA-256"):
        verify_token(answer, MESSAGE, read_roots(authority.root), where="claim.tsr")


def test_a_token_without_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(MESSAGE)
    authority.run(f"ts -query -sha256 -data {tmp_path}/message -out {tmp_path}/query")
    answer = authority.answer((tmp_path / "query").read_bytes())
    with pytest.raises(ProofError, match="certificate is missing or damaged"):
        verify_token(answer, MESSAGE, read_roots(authority.root), where="claim.tsr")


@settings(max_examples=250)
@given(data=st.data())
def test_a_changed_token_is_refused_or_says_the_same(authority: Authority, token: bytes, data: st.DataObject) -> None:
    """CMS has bytes that nothing signs; they may change, but not what the token says."""
    roots = read_roots(authority.root)
    content = bytearray(token)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = verify_token(bytes(content), MESSAGE, roots, where="claim.tsr")
    except ProofError:
        return
    assert found == verify_token(token, MESSAGE, roots, where="claim.tsr")


def test_what_is_no_token_is_refused(authority: Authority, token: bytes) -> None:
    roots = read_roots(authority.root)
    for content in (b"", b"hello", token[:-1], token + b"\0", token[:40]):
        with pytest.raises(ProofError, match="no timestamp response"):
            verify_token(content, MESSAGE, roots, where="claim.tsr")
    with pytest.raises(ProofError, match="expected at most"):
        verify_token(bytes(MAX_RESPONSE_BYTES + 1), MESSAGE, roots, where="claim.tsr")


def test_roots_are_read_strictly(tmp_path: Path) -> None:
    for content in (b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        (tmp_path / "roots").write_bytes(content)
        with pytest.raises(UsageError, match="no certificate in it"):
            read_roots(tmp_path / "roots")
    with pytest.raises(UsageError, match="can't be read"):
        read_roots(tmp_path / "absent")
