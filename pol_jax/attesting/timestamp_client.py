"""This module asks a timestamping authority over HTTP (RFC 3161 section 3.4); nothing else here uses a network."""

from __future__ import annotations

import queue
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.parse import urlsplit

from pol_jax.attesting.timestamp import MAX_RESPONSE_BYTES
from pol_jax.errors import UsageError, printable

TIMEOUT: Final = 20.0
"""The whole exchange may take this many seconds, by default."""

_CHUNK: Final = 4096
_HEADERS: Final = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
_REPLY_TYPE: Final = "application/timestamp-reply"


def ask_authority(url: str, request: bytes, *, timeout: float = TIMEOUT) -> bytes:
    """Return an authority's response to ``request``, as it came; check it with `check_response` before it is stored.

    Args:
        url: ``http://`` or ``https://``. Redirections are not followed: the authority is the one that was named.
        request: what `make_request` made.
        timeout: seconds for the whole exchange.

    Raises:
        UsageError: the URL is none of these, or the authority doesn't answer in time, in bounds or as it should.
    """
    where = _checked(url)
    outcome: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put(_exchange(url, request, timeout, where))
        except BaseException as error:  # noqa: BLE001 it is raised again below, in the thread of the caller
            outcome.put(error)

    # A timeout of the library is for each piece that it waits for: names, connections, a byte of a header. In a thread
    # one deadline holds for all; a thread that hangs on ends with the process.
    threading.Thread(target=work, daemon=True).start()
    try:
        found = outcome.get(timeout=timeout)
    except queue.Empty:
        raise UsageError(
            f"{where}: no answer within {timeout:g} seconds; try again, or send the request as a file"
        ) from None
    if isinstance(found, BaseException):
        raise found
    return found


def _exchange(url: str, request: bytes, timeout: float, where: str) -> bytes:
    call = urllib.request.Request(url, data=request, headers=_HEADERS, method="POST")  # noqa: S310 the scheme is checked
    deadline = time.monotonic() + timeout
    try:
        with _opener().open(call, timeout=timeout) as reply:
            kind = reply.headers.get_content_type()
            if kind != _REPLY_TYPE:
                raise UsageError(f"{where}: answered with {printable(kind)}; expected {_REPLY_TYPE}")
            return _read(reply, deadline, timeout, where)
    except urllib.error.HTTPError as error:
        with error:
            raise UsageError(f"{where}: answered HTTP {error.code}; expected 200{_cure(error.code)}") from None
    except urllib.error.URLError as error:
        raise UsageError(f"{where}: can't be reached: {printable(str(error.reason))}") from None
    except TimeoutError:
        raise UsageError(
            f"{where}: no answer within {timeout:g} seconds; try again, or send the request as a file"
        ) from None
    except (OSError, HTTPException, ValueError) as error:
        what = printable(str(error) or type(error).__name__)
        raise UsageError(f"{where}: the answer broke off: {what}") from None


def _checked(url: str) -> str:
    """Return the URL as errors may show it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UsageError(f"{printable(url)}: no URL; expected http://HOST/PATH or https://HOST/PATH") from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"a URL with a password is seen by every process; give one without, for {printable(host or '')}"
        )
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{printable(url)}: expected http://HOST/PATH or https://HOST/PATH")
    return url


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows HTTP alone: no files, no redirections, no passwords of ``.netrc``."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _read(reply: HTTPResponse, deadline: float, timeout: float, where: str) -> bytes:
    """Return the body, within bounds of size and time: a server that sends a byte now and then is cut off too."""
    content = bytearray()
    # `read1` returns what has come. `read` would wait for all of a piece, and the deadline with it.
    while chunk := reply.read1(_CHUNK):
        content += chunk
        if len(content) > MAX_RESPONSE_BYTES:
            raise UsageError(
                f"{where}: the answer has more than {MAX_RESPONSE_BYTES} bytes; is the URL an authority's?"
            )
        if time.monotonic() > deadline:
            raise UsageError(f"{where}: the answer was not complete within {timeout:g} seconds")
    return bytes(content)


def _cure(status: int) -> str:
    return "; redirections are not followed, name the authority itself" if 300 <= status < 400 else ""
