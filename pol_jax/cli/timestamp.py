"""``pol timestamp`` asks an authority directly, or by a request and a response that are carried as files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pol_jax.attesting.digests import sha256
from pol_jax.attesting.timestamp import MAX_RESPONSE_BYTES, check_response, make_request
from pol_jax.attesting.timestamp_client import ask_authority
from pol_jax.cli.output_file import check_new, write_new
from pol_jax.cli.terminal import say
from pol_jax.errors import UsageError, printable
from pol_jax.files import read_own_file

_MAX_DOCUMENT_BYTES: Final = 2**25
"""An envelope, the largest document that is timestamped, has at most this many bytes."""


def timestamp_command(
    file: Path, tsa: str | None, request: Path | None, response: Path | None, out: Path | None
) -> None:
    """Ask an authority and store its response; or write a request; or store the response to a request."""
    message = read_own_file(file, _MAX_DOCUMENT_BYTES)
    if tsa is not None and request is None and response is None and out is not None:
        check_new(out, attestation=True)
        asked = make_request(message)
        _store(asked, ask_authority(tsa, asked), out, tsa)
    elif tsa is None and request is not None and response is None and out is None:
        write_new(request, make_request(message))
        say(f"wrote {request}; carry it to an authority, and its answer back:")
        say(f"  curl -H 'Content-Type: application/timestamp-query' --data-binary @{request} URL -o RESPONSE")
        say(f"  pol timestamp {file} --request {request} --response RESPONSE --out TSR")
    elif tsa is None and request is not None and response is not None and out is not None:
        asked = read_own_file(request, MAX_RESPONSE_BYTES)
        # Anywhere in the request will do for this hint; `check_response` reads it field by field.
        if sha256(message) not in asked:
            raise UsageError(f"{printable(str(request))}: is no request for {printable(str(file))}; give the right one")
        _store(asked, read_own_file(response, MAX_RESPONSE_BYTES), out, str(response))
    else:
        raise UsageError(
            "give --tsa URL --out TSR; or, without network, --request FILE, and later --request FILE --response FILE "
            "--out TSR"
        )


def _store(asked: bytes, response: bytes, out: Path, where: str) -> None:
    check_response(asked, response, where)
    write_new(out, response, attestation=True)
    say(f"stored the response in {out}; pol check ... --timestamp {out} --tsa-roots PEM verifies it")
