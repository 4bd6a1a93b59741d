"""A timestamp is an authority's signature over a digest and a time (RFC 3161); it is checked without network.

Requests and responses are the files that every such authority takes and gives (DER), so that a machine without network
can have them carried. What is stored is the response as it came.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import Certificate, InvalidVersion, load_der_x509_certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from pol_jax.attesting.certificate_order import sort_certificates
from pol_jax.attesting.digests import sha256
from pol_jax.attesting.time_window import Timestamp
from pol_jax.errors import INCONCLUSIVE, PolError, ProofError, UsageError, printable
from pol_jax.files import read_own_file

MAX_RESPONSE_BYTES: Final = 2**16
_MAX_ROOTS_BYTES: Final = 2**24
_MAX_ACCURACY: Final = timedelta(days=1)
_SHA256: Final = "2.16.840.1.101.3.4.2.1"

_MALFORMED: Final = (ValueError, KeyError, TypeError, InvalidVersion, CryptographyDeprecationWarning)
"""What the libraries raise at damaged structures, some of them when a field is first asked for."""

# The library makes requests and reads none; this is the one form in which `make_request` writes them.
_REQUEST: Final = re.compile(
    rb"\x30.\x02\x01\x01"  # a sequence; version 1
    rb"\x30.\x30.\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01(?:\x05\x00)?\x04\x20(?P<imprint>.{32})"  # SHA-256
    rb"\x02(?P<length>[\x01-\x14])(?P<nonce>.{1,20})\x01\x01\xff\Z",  # a nonce; certificates are asked for
    re.DOTALL,
)


class ForeignAuthorityError(ProofError):
    """A token does not lead to the verifier's roots: it shows nothing to them, and may be true all the same."""

    exit_code = INCONCLUSIVE  # an honest prover may have asked an authority that this verifier doesn't know


def make_request(message: bytes) -> bytes:
    """Return a request for a timestamp over ``message``; only its SHA-256 digest is in it, and a fresh nonce."""
    if not message:
        raise UsageError("nothing to timestamp: the document is empty")
    builder = TimestampRequestBuilder(message, HashAlgorithm.SHA256, nonce=True, cert_req=True)
    return builder.build().as_bytes()


def check_response(request: bytes, response: bytes, where: str) -> None:
    """Refuse a response that doesn't answer ``request``, before it is stored. Chains are for `verify_token`.

    Raises:
        UsageError: the request isn't one of `make_request`, or the response grants nothing, or answers another request.
    """
    asked = _REQUEST.match(request)
    if not asked or len(asked["nonce"]) != asked["length"][0]:
        raise UsageError(f"{where}: the request is none that pol timestamp made; make it again")
    try:
        token = _parse(response, where).tst_info
        imprint, nonce = token.message_imprint.message, token.nonce
    except ProofError as error:
        raise UsageError(f"{error}; ask the authority again") from None
    if imprint != asked["imprint"]:
        raise UsageError(
            f"{printable(where)}: the response is over another digest than the request; give the right one"
        )
    # An INTEGER of DER is signed: the library, which returns a number, has read it so.
    if nonce != int.from_bytes(asked["nonce"], "big", signed=True):
        raise UsageError(f"{printable(where)}: the response has another nonce than the request; give the right one")


def verify_token(response: bytes, message: bytes, roots: Sequence[Certificate], *, where: str) -> Timestamp:
    """Return what the authority says about ``message``, if it leads to one of ``roots``.

    The chain is checked at the token's own time: a certificate that expired later doesn't take a token back. Revocation
    isn't checked, there is no network here.

    Args:
        response: the stored response, untrusted.
        message: the bytes that must have been timestamped.
        roots: the verifier's, never the proof's; see `read_roots`.
        where: file name, for errors.

    Raises:
        UsageError: no roots.
        ForeignAuthorityError: not signed by a timestamping authority under ``roots``.
        ProofError: malformed, over other bytes, or of a time at which the certificate was not valid.
    """
    if not roots:
        raise UsageError("tsa_roots: no root certificate of a timestamping authority is given; expected at least one")
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)  # certificates that break RFC 5280
        return _verify(response, message, roots, where)


def read_roots(path: Path) -> tuple[Certificate, ...]:
    """Return the root certificates in a PEM file.

    Raises:
        UsageError: it can't be read, or has no certificate.
    """
    return parse_roots(read_pem(path), str(path))


def read_pem(path: Path) -> bytes:
    """Return the bytes of a file of root certificates, which can be parsed.

    Raises:
        UsageError: it can't be read, is too large, or has no certificate.
    """
    content = read_own_file(path, _MAX_ROOTS_BYTES, "certificates in PEM")
    parse_roots(content, printable(str(path)))
    return content


def parse_roots(content: bytes, where: str) -> tuple[Certificate, ...]:
    """Return the root certificates in PEM.

    Raises:
        UsageError: there is none.
    """
    try:
        return tuple(load_pem_x509_certificates(content))
    except _MALFORMED:
        raise UsageError(f"{where}: no certificate in it; expected PEM (-----BEGIN CERTIFICATE-----)") from None


def _verify(response: bytes, message: bytes, roots: Sequence[Certificate], where: str) -> Timestamp:
    found = _parse(response, where)
    try:
        _check_imprint(found, message, where)
        VerifierBuilder(roots=list(roots)).build().verify_message(found, message)
        return _read_token(found, where)
    except (VerificationError, *_MALFORMED) as error:
        raise _chain_problem(found, roots, error, where) from None


def _parse(response: bytes, where: str) -> TimeStampResponse:
    """Return the parsed response, if it grants a token with one signer."""
    if len(response) > MAX_RESPONSE_BYTES:
        raise ProofError(where, f"has {len(response)} bytes; expected at most {MAX_RESPONSE_BYTES}")
    try:
        found = decode_timestamp_response(sort_certificates(response))
        status = PKIStatus(found.status)
        if status is PKIStatus.GRANTED:  # anything else may come without a token
            _ = found.tst_info.gen_time, len(found.signed_data.signer_infos)
    except _MALFORMED:
        raise ProofError(where, "is no timestamp response (RFC 3161, DER), or is damaged") from None
    if status is not PKIStatus.GRANTED:
        said = "; ".join(found.status_string) or "no reason given"
        raise ProofError(where, f"the authority answered {status.name}: {said}; expected GRANTED")
    if len(found.signed_data.signer_infos) != 1:
        raise ProofError(where, f"got {len(found.signed_data.signer_infos)} signers; expected exactly one")
    return found


def _check_imprint(found: TimeStampResponse, message: bytes, where: str) -> None:
    """Refuse all but SHA-256: it is what requests ask for, and what a shell can check."""
    imprint = found.tst_info.message_imprint
    if imprint.hash_algorithm.dotted_string != _SHA256:
        raise ProofError(where, f"got a digest of algorithm {imprint.hash_algorithm.dotted_string}; expected SHA-256")
    if imprint.message != sha256(message):
        raise ProofError(
            where, f"is over another digest, {imprint.message.hex()[:16]}...; expected one over this document"
        )


def _read_token(found: TimeStampResponse, where: str) -> Timestamp:
    token = found.tst_info
    signer = _signing_certificate(found)
    if signer is None:
        raise ProofError(where, "the signer's certificate is missing, or is there twice; ask for a token with one")
    accuracy = token.accuracy
    spread = timedelta(0)
    if accuracy is not None:
        spread = timedelta(
            seconds=accuracy.seconds or 0, milliseconds=accuracy.millis or 0, microseconds=accuracy.micros or 0
        )
    if not timedelta(0) <= spread <= _MAX_ACCURACY:
        raise ProofError(where, f"the authority's accuracy is {spread}; expected at most {_MAX_ACCURACY}")
    if not 2000 <= token.gen_time.year < 9000:  # what can be reckoned with
        raise ProofError(where, f"is dated year {token.gen_time.year}; expected a time of this millennium")
    name = printable(signer.subject.rfc4514_string())
    # Whether the library reads fractions of a second is a matter of its version, and verdicts are not.
    time = token.gen_time.replace(microsecond=0)
    return Timestamp(time, spread, name, token.policy.dotted_string, token.serial_number)


def _signing_certificate(found: TimeStampResponse) -> Certificate | None:
    """Return the embedded certificate that the signature names by issuer and number, or None.

    Two of one issuer and number are none: openssl would take one for the signature, and the report could name the
    other.
    """
    (named,) = found.signed_data.signer_infos
    embedded = [load_der_x509_certificate(content) for content in found.signed_data.certificates]
    matching = [one for one in embedded if (one.issuer, one.serial_number) == (named.issuer, named.serial_number)]
    return matching[0] if len(matching) == 1 else None


def _chain_problem(found: TimeStampResponse, roots: Sequence[Certificate], error: Exception, where: str) -> PolError:
    """Return what to say of a token that doesn't verify: the likely cause where it can be told."""
    try:
        signer, time = _signing_certificate(found), found.tst_info.gen_time
        who = signer.subject.rfc4514_string() if signer else None
        valid = (signer.not_valid_before_utc, signer.not_valid_after_utc) if signer else None
    except _MALFORMED:  # the library parses a certificate's fields when they are asked for
        who = valid = None
    if who is None or valid is None:
        return ProofError(
            where, "the signer's certificate is missing or damaged, or is there twice; ask for a token with one"
        )
    if not valid[0] <= time <= valid[1]:
        return ProofError(
            where,
            f"dated {time:%Y-%m-%d %H:%M:%S} UTC, but the certificate of {who} is valid from "
            f"{valid[0]:%Y-%m-%d %H:%M:%S} to {valid[1]:%Y-%m-%d %H:%M:%S} UTC",
        )
    expected = ", ".join(root.subject.rfc4514_string() for root in roots[:3])
    return ForeignAuthorityError(
        where, f"not a timestamp of {who} under the given roots ({expected}): {_reason(error)}"
    )


def _reason(error: Exception) -> str:
    """Return the telling part of an error; openssl's is a page."""
    text = str(error)
    found = re.search(r'Verify error: ?([^"]+)"', text) or re.search(r'reason: "([^"]+)"', text)
    return found[1] if found else text
