"""Write the test vectors of attestations, and the worked bytes of docs/attestation.md that are cut from them.

    python scripts/make_attestation_vectors.py            write tests/attesting/vectors and the marked blocks
    python scripts/make_attestation_vectors.py --check    change nothing; exit 1 and name what differs

Timestamps and encrypted files hold random numbers: they were made once, are kept, and are read again by the check.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import ml_dtypes
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509 import load_pem_x509_certificates

from pol_jax.attesting import envelope
from pol_jax.attesting.age_keys import write_new_identity
from pol_jax.attesting.archive import stream_directory
from pol_jax.attesting.attestation import attest_claim, attest_commitment, read_attestation
from pol_jax.attesting.beacon import verify_round
from pol_jax.attesting.chains import KNOWN
from pol_jax.attesting.digests import array_stream, digest_arrays
from pol_jax.attesting.encryption import decrypt, encrypt
from pol_jax.attesting.public_key import parse_public_text, public_text
from pol_jax.attesting.strict_json import canonical_bytes
from pol_jax.attesting.subjects import name_final
from pol_jax.attesting.timestamp import make_request, verify_token
from pol_jax.errors import ProofError

ROOT: Final = Path(__file__).resolve().parents[1]
VECTORS: Final = ROOT / "tests" / "attesting" / "vectors"
DOCUMENT: Final = ROOT / "docs" / "attestation.md"

KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ARRAYS: Final = {
    "/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "/bias": np.array([1.5, -2.0], ml_dtypes.bfloat16),
    "/step": np.array(300, np.int64),
    "/none": np.zeros((0, 3), np.float32),
}
CLAIM: Final = canonical_bytes({"final_state": "ab" * 32, "format": "pol-jax/1", "steps": 300})
COMMITMENT: Final = canonical_bytes({"format": "pol-jax/1", "prover": public_text(KEY)})
FILES: Final = {"claim.json": CLAIM.decode(), "empty": "", "checkpoints/0000000000/d/" + "n" * 100: "x" * 513}
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)

Vector = dict[str, Any]


# --- made again each time ----------------------------------------------------------------------------------------


def keys() -> list[Vector]:
    """Public keys: whole ones, and points that are refused."""
    points = {
        "of the seed 00 01 02 ... 1f": public_text(KEY),
        "the neutral element": "ed25519:01" + "00" * 31,
        "of order 2": "ed25519:ec" + "ff" * 30 + "7f",
        "of order 4": "ed25519:" + "00" * 32,
        "of order 8": "ed25519:26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "y = p + 3": "ed25519:f0" + "ff" * 30 + "7f",
        "y = 1 with a sign": "ed25519:01" + "00" * 30 + "80",
        "not on the curve": "ed25519:02" + "00" * 31,
        "in capitals": public_text(KEY).upper(),
    }
    return [
        {"name": name, "text": text, "accepted": _accepts(parse_public_text, text)} for name, text in points.items()
    ]


def arrays() -> list[Vector]:
    """Arrays, the bytes that stand for them, and their digests."""
    digests = digest_arrays(ARRAYS)
    described = [
        {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "bytes": array.tobytes().hex()}
        for name, array in ARRAYS.items()
    ]
    stream = b"".join(bytes(piece) for piece in array_stream(ARRAYS))
    return [{"arrays": described, "stream": stream.hex(), "blake3": digests.blake3, "sha256": digests.sha256}]


def envelopes() -> list[Vector]:
    """Envelopes of a claim and of a commitment, and some that are refused."""
    digests = digest_arrays(ARRAYS)
    claim = attest_claim(CLAIM, name_final(parameters=digests, state=digests), KEY)
    commitment = attest_commitment(COMMITMENT, KEY)
    wounds = {
        "claim": ("claim", claim),
        "commitment": ("commitment", commitment),
        "a commitment taken for a claim": ("claim", commitment),
        "a final newline": ("claim", claim + b"\n"),
        "another payload type": ("claim", claim.replace(b"vnd.in-toto+json", b"vnd.in-toto+xml")),
        "no signature": ("claim", re.sub(rb'"signatures":\[.*\]', b'"signatures":[]', claim)),
        "the signature twice": ("claim", re.sub(rb'"signatures":\[(.*)\]', rb'"signatures":[\1,\1]', claim)),
        "a payload that is no statement": ("claim", envelope.sign(b"{}", KEY)),
    }
    return [
        {
            "name": name,
            "kind": kind,
            "envelope": content.decode(),
            "accepted": _accepts(
                lambda text, kind=kind: read_attestation(text.encode(), kind, where="a"), content.decode()
            ),
        }
        for name, (kind, content) in wounds.items()
    ]


def beacons() -> list[Vector]:
    """What a commitment names published rounds by, and their times."""
    published = json.loads((VECTORS / "drand_published.json").read_text())
    chains = {chain.beacon_id: chain for chain in KNOWN}
    found = [
        verify_round(json.dumps(vector["round"]).encode(), chains[vector["chain"]], now=NOW, where="a")
        for vector in published
    ]
    return [{"text": one.text(), "time": one.time.isoformat()} for one in found]


def archives() -> list[Vector]:
    """A directory, and the SHA-256 of the archive that it has."""
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder))
        content = b"".join(stream_directory(Path(folder)))
    header = content[:512].rstrip(b"\0").hex()
    return [
        {"files": FILES, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "first header": header}
    ]


# --- made once, and kept -----------------------------------------------------------------------------------------


def new_timestamp() -> list[Vector]:
    """Make a token of an authority that is thrown away."""
    sys.path.insert(0, str(ROOT / "tests"))
    from timestamp_authority import Authority

    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder) / "tsa", name="Vector Authority")
        response = authority.answer(make_request(CLAIM))
        return [{"message": CLAIM.decode(), "response": _base64(response), "roots": authority.root.read_text()}]


def read_timestamp(vector: Vector) -> Vector:
    """What a kept token says."""
    roots = load_pem_x509_certificates(vector["roots"].encode())
    stamp = verify_token(base64.b64decode(vector["response"]), vector["message"].encode(), roots, where="a")
    return {"time": stamp.time.isoformat(), "authority": stamp.authority, "accuracy": str(stamp.accuracy)}


def new_age_file() -> list[Vector]:
    """Encrypt the files of `archives`, to an identity that protects nothing else."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipient = write_new_identity(folder / "identity")
        _write_files(folder / "proof")
        encrypt(folder / "proof", [recipient], folder / "age")
        return [{"identity": (folder / "identity").read_text(), "file": _base64((folder / "age").read_bytes())}]


def read_age_file(vector: Vector) -> Vector:
    """What is in a kept file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "identity").write_text(vector["identity"])
        (folder / "age").write_bytes(base64.b64decode(vector["file"]))
        decrypt(folder / "age", folder / "identity", folder / "out")
        files = {str(path.relative_to(folder / "out")): path for path in (folder / "out").rglob("*") if path.is_file()}
        return {"files": {file: files[file].read_text() for file in sorted(files)}}


MADE: Final[dict[str, Callable[[], list[Vector]]]] = {
    "public_keys": keys,
    "arrays": arrays,
    "envelopes": envelopes,
    "beacons": beacons,
    "archives": archives,
}
KEPT: Final[dict[str, tuple[Callable[[], list[Vector]], Callable[[Vector], Vector]]]] = {
    "timestamps": (new_timestamp, read_timestamp),
    "age_files": (new_age_file, read_age_file),
}


# --- files -------------------------------------------------------------------------------------------------------


def vectors() -> dict[str, list[Vector]]:
    """All vectors by the name of their file; kept ones as they are stored, with what is read from them today."""
    found = {name: make() for name, make in MADE.items()}
    for name, (make, read) in KEPT.items():
        path = VECTORS / f"{name}.json"
        stored = json.loads(path.read_text()) if path.exists() else [{"kept": vector} for vector in make()]
        found[name] = [{"kept": vector["kept"], "says": read(vector["kept"])} for vector in stored]
    return found


def outputs() -> dict[Path, str]:
    """Every file that this script writes, with its content."""
    made = vectors()
    files = {VECTORS / f"{name}.json": json.dumps(made[name], indent=1, ensure_ascii=False) + "\n" for name in made}
    return files | {DOCUMENT: _with_blocks(DOCUMENT.read_text(), blocks(made))}


def blocks(made: dict[str, list[Vector]]) -> dict[str, str]:
    """The worked bytes of the document, by the name of their block."""
    array, claim, archive = made["arrays"][0], made["envelopes"][0]["envelope"], made["archives"][0]
    payload = base64.b64decode(json.loads(claim)["payload"])
    return {
        "arrays": "\n".join(
            [
                *(
                    f"{one['name']:8} {one['dtype']:9} {one['shape']!s:7} {one['bytes']}".rstrip()
                    for one in array["arrays"]
                ),
                f"stream   {array['stream']}",
                f"blake3   {array['blake3']}",
                f"sha256   {array['sha256']}",
            ]
        ),
        "statement": payload.decode(),
        "envelope": claim,
        "beacons": "\n".join(f"{one['time']}\n{one['text']}" for one in made["beacons"]),
        "archive": f"bytes   {archive['size']}\nsha256  {archive['sha256']}\nheader  {archive['first header']}",
        "keys": "\n".join(
            f"{'taken' if key['accepted'] else 'refused':8} {key['name']:28} {key['text']}"
            for key in made["public_keys"]
        ),
    }


def _with_blocks(text: str, found: dict[str, str]) -> str:
    for name, content in found.items():
        pattern = re.compile(rf"(?<=<!-- vectors: {name} -->\n```text\n).*?(?=\n```\n<!-- end -->)", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise SystemExit(f"{DOCUMENT.name}: expected the block {name} once")
        text = pattern.sub(content.replace("\\", r"\\"), text)
    return text


def _write_files(root: Path) -> None:
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def _accepts(read: Callable[..., Any], *arguments: Any) -> bool:
    try:
        read(*arguments, *(["a"] if read is parse_public_text else []))
    except ProofError:
        return False
    return True


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def main() -> int:
    """Write, or check."""
    differing = {path: text for path, text in outputs().items() if not path.exists() or path.read_text() != text}
    if "--check" in sys.argv[1:]:
        for path in differing:
            print(f"{path.relative_to(ROOT)} differs")
        return 1 if differing else 0
    VECTORS.mkdir(parents=True, exist_ok=True)
    for path, text in differing.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
