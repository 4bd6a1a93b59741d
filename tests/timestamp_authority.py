"""A real timestamping authority for tests: ``openssl ts`` under a root made here, and an HTTP server before it."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

EXTENSIONS = """extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
basicConstraints = critical,CA:FALSE
"""

CONFIGURATION = """[tsa]
default_tsa = t
[t]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1, millisecs:500
ess_cert_id_alg = sha256
"""


class Authority:
    """An authority in a directory of its own.

    Attributes:
        folder: where its keys are.
        root: PEM file of its root certificate.
    """

    def __init__(self, folder: Path, *, name: str = "Test Authority", extensions: str = EXTENSIONS) -> None:
        folder.mkdir()
        self.folder, self.root = folder, folder / "root.pem"
        (folder / "extensions").write_text(extensions)
        (folder / "tsa.cnf").write_text(CONFIGURATION)
        (folder / "serial").write_text("01")
        self.run("ecparam -genkey -name prime256v1 -noout -out root.key")
        subject = f"/CN=Root of {name}"
        self.run("req -x509 -new -key root.key -days 3650 -out root.pem -subj", subject)
        self.run("ecparam -genkey -name prime256v1 -noout -out tsa.key")
        self.run("req -new -key tsa.key -out tsa.csr -subj", f"/O=Tests/CN={name}")
        self.certify("-days", "3650")

    def certify(self, *validity: str) -> None:
        """Sign the authority's certificate, valid for as long as openssl's arguments say."""
        self.run(
            "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -set_serial 2 -out tsa.pem -extfile extensions",
            *validity,
        )

    def certify_for_the_past(self) -> None:
        """Sign a certificate that expired in 2021; ``openssl ca`` is what takes dates."""
        (self.folder / "index").write_text("")
        (self.folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca = c\n[c]\ndatabase = index\nnew_certs_dir = .\nserial = serial.ca\ndefault_md = sha256\n"
            "policy = p\n[p]\norganizationName = optional\ncommonName = supplied\n"
        )
        (self.folder / "serial.ca").write_text("03")
        self.run(
            "ca -batch -notext -config ca.cnf -in tsa.csr -cert root.pem -keyfile root.key -out tsa.pem "
            "-extfile extensions -startdate 20200101000000Z -enddate 20210101000000Z"
        )

    def add_intermediate(self) -> None:
        """Put a certificate between root and authority, which responses carry along from now on."""
        (self.folder / "ca").write_text("basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign\n")
        self.run("ecparam -genkey -name prime256v1 -noout -out middle.key")
        self.run("req -new -key middle.key -out middle.csr -subj", "/CN=Middle")
        self.run("x509 -req -in middle.csr -CA root.pem -CAkey root.key -set_serial 5 -out middle.pem -extfile ca")
        self.run(
            "x509 -req -in tsa.csr -CA middle.pem -CAkey middle.key -set_serial 6 -out tsa.pem -extfile extensions"
        )
        (self.folder / "tsa.cnf").write_text(f"{CONFIGURATION}certs = middle.pem\n")

    def answer(self, request: bytes) -> bytes:
        """The response to a request, as ``openssl ts`` gives it."""
        (self.folder / "request.tsq").write_bytes(request)
        self.run("ts -reply -config tsa.cnf -queryfile request.tsq -out response.tsr")
        return (self.folder / "response.tsr").read_bytes()

    def run(self, command: str, *more: str) -> None:
        subprocess.run(["openssl", *command.split(), *more], cwd=self.folder, check=True, capture_output=True)


class _QuietServer(ThreadingHTTPServer):
    """A server that says nothing of clients that refuse its certificate."""

    def handle_error(self, *_: object) -> None:
        pass


Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve POSTs on this machine; yields the URL. ``answer`` gets the handler and the body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                answer(self, self.rfile.read(int(self.headers["Content-Length"])))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = _QuietServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_port}/tsr"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(
    handler: BaseHTTPRequestHandler, content: bytes, *, status: int = 200, kind: str = "application/timestamp-reply"
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
