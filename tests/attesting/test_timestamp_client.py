"""Authorities over HTTP: asked once, within bounds."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from timestamp_authority import Authority, reply, serving

from pol_jax.attesting.timestamp import MAX_RESPONSE_BYTES, check_response, make_request, read_roots, verify_token
from pol_jax.attesting.timestamp_client import ask_authority
from pol_jax.errors import UsageError

MESSAGE = b'{"format":"pol-jax/1"}'


def test_an_authority_is_asked_over_http(authority: Authority) -> None:
    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        assert handler.headers["Content-Type"] == "application/timestamp-query"
        reply(handler, authority.answer(body))

    request = make_request(MESSAGE)
    with serving(answer) as url:
        response = ask_authority(url, request)
    check_response(request, response, "claim.tsr")
    assert verify_token(response, MESSAGE, read_roots(authority.root), where="claim.tsr").policy == "1.2.3.4.1"


def _redirect(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/passwd")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _break_off(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.connection.sendall(
        b"HTTP/1.0 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: 99\r\n\r\nab"
    )
    handler.close_connection = True


def _endless(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/timestamp-reply\r\n\r\n")
    while True:
        handler.connection.sendall(bytes(4096))


def _drip(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/timestamp-reply\r\n\r\n")
    for _ in range(60):
        handler.connection.sendall(b"a")
        time.sleep(0.05)


def _drip_headers(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.connection.sendall(b"HTTP/1.0 200 OK\r\nX: ")
    for _ in range(30):
        handler.connection.sendall(b"a")
        time.sleep(0.05)


BAD_ANSWERS: dict[str, tuple[Callable[[BaseHTTPRequestHandler, bytes], None], str]] = {
    "an error": (lambda handler, _: reply(handler, b"", status=503), "HTTP 503"),
    "a page": (lambda handler, _: reply(handler, b"<html>", kind="text/html"), "answered with text/html"),
    "a redirection to a file": (_redirect, "redirections are not followed"),
    "too much": (lambda handler, _: reply(handler, bytes(MAX_RESPONSE_BYTES + 1)), "more than"),
    "no end": (_endless, "more than"),
    "a byte now and then": (_drip, "no answer within|not complete within"),
    "a byte of a header now and then": (_drip_headers, "no answer within"),
    "no answer": (lambda handler, _: time.sleep(0.8), "no answer within|can't be reached: timed out"),
    "no HTTP": (lambda handler, _: handler.connection.sendall(b"\x16\x03\x01 hello\r\n"), "broke off"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_is_one_clear_line(name: str) -> None:
    answer, problem = BAD_ANSWERS[name]
    with serving(answer) as url, pytest.raises(UsageError, match=problem) as raised:
        ask_authority(url, make_request(MESSAGE), timeout=0.4)
    assert str(raised.value).startswith(url)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_to_another_server_is_not_followed(status: int) -> None:
    asked: list[bytes] = []

    def elsewhere(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked.append(body)
        reply(handler, b"an answer")

    with serving(elsewhere) as other:

        def redirect(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            handler.send_response(status)
            handler.send_header("Location", other)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with serving(redirect) as url, pytest.raises(UsageError, match=f"HTTP {status}; .* name the authority itself"):
            ask_authority(url, make_request(MESSAGE), timeout=2.0)
    assert not asked


def test_an_answer_that_breaks_off_is_never_taken_for_a_token() -> None:
    request = make_request(MESSAGE)
    with serving(_break_off) as url, pytest.raises(UsageError):
        check_response(request, ask_authority(url, request, timeout=0.4), "claim.tsr")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://host/x",
        "http://",
        "//host/x",
        "http://[::1/x",
        "http://host:99999/",
        "http://a b/",
    ],
)
def test_only_http_urls_are_asked(url: str) -> None:
    with pytest.raises(UsageError, match="expected http://HOST/PATH"):
        ask_authority(url, b"")


def test_a_url_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(UsageError, match="a URL with a password") as raised:
        ask_authority("https://user:hunter2@host/tsr", b"")
    assert "hunter2" not in str(raised.value)


def test_a_host_that_is_not_there_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UsageError, match="can't be reached"):
            ask_authority(f"http://127.0.0.1:{taken.getsockname()[1]}/", b"", timeout=1.0)


def test_a_server_that_nobody_certified_is_one_clear_line(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tsa")
    authority.run(
        "req -x509 -new -key tsa.key -days 10 -out server.pem -addext subjectAltName=IP:127.0.0.1 -subj",
        "/CN=localhost",
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.folder / "server.pem", authority.folder / "tsa.key")
    with serving(lambda handler, body: reply(handler, authority.answer(body)), context) as url:
        assert url.startswith("https://")
        with pytest.raises(UsageError, match=r"can't be reached: .*self-signed certificate") as raised:
            ask_authority(url, make_request(MESSAGE), timeout=2.0)
    assert "\n" not in str(raised.value)
