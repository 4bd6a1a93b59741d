"""The parsers of untrusted bytes, each with an input that it takes: what `fuzz_parsers.py` damages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from safetensors.numpy import save_file

from pol_jax import open_proof
from pol_jax.attesting.archive import ArchiveLimits, Extractor, stream_directory
from pol_jax.attesting.attestation import attest_claim, read_attestation
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.key_files import read_private_key, write_new_key
from pol_jax.attesting.npz_file import read_npz
from pol_jax.attesting.safetensors_file import read_safetensors
from pol_jax.attesting.subjects import name_final
from pol_jax.errors import ProofError
from pol_jax.program.artifact import INIT_FILE, STEP_FILE, Artifacts, load_program
from pol_jax.program.signature import Signature
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol import inventory
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.documents import encode
from pol_jax.protocol.inventory import Inventory
from pol_jax.protocol.opening import parse_opening
from pol_jax.protocol.rows import decode_row
from pol_jax.storage.checkpoints import load_checkpoint
from pol_jax.storage.final_arrays import read_final_state
from pol_jax.storage.ledger import read_segment, segment_file
from pol_jax.storage.proof import Proof


@dataclass(frozen=True)
class Parser:
    """A parser, and an input that it takes.

    Attributes:
        name: of the parser.
        whole: an input that is valid.
        parse: parses an input; returns the bytes that the value encodes to, or None where there is no such encoding.
        share: of the cases that it is given, since some take long.
    """

    name: str
    whole: bytes
    parse: Callable[[bytes], bytes | None]
    share: float = 1.0


def parsers(root: Path, opening: Path | None, folder: Path) -> Iterable[Parser]:
    """Yield the parsers of a proof's files, and that of an opening."""
    proof = open_proof(root)

    def whole(name: str) -> bytes:
        return (root / name).read_bytes()

    yield Parser("commitment", whole(commitments.FILE), lambda content: Commitment.parse(content).encode())
    yield Parser("claim", whole(claims.FILE), lambda content: Claim.parse(content).encode())
    yield Parser("inventory", whole(inventory.FILE), lambda content: encode(Inventory.parse(content)))
    if opening:
        yield Parser("opening", opening.read_bytes(), lambda content: parse_opening(content, "opening").encode())
    layout, steps = proof.commitment.row_layout, proof.segments.rows(0)
    segment = folder / segment_file(0)
    segment.parent.mkdir()

    def ledger(content: bytes) -> None:
        segment.write_bytes(content)
        read_segment(folder, 0, steps, layout)

    def row(content: bytes) -> bytes:
        found = decode_row(content, layout)
        if found is None:
            raise ProofError("a row", "is none")
        return found.encode()

    yield Parser("ledger", whole(segment_file(0)), ledger)
    yield Parser("row", proof.row(1).encode(), row)
    signature, init = Signature.from_commitment(proof.commitment), whole(INIT_FILE)

    def program(content: bytes) -> None:
        load_program(Artifacts(init, content), signature)

    yield Parser("program", whole(STEP_FILE), program, share=0.05)
    yield from _of_weights(proof, folder)
    yield from _of_attestations(proof, folder)
    yield from _of_checkpoints(proof, folder)


def _of_weights(proof: Proof, folder: Path) -> Iterable[Parser]:
    """Yield the parsers of files in which the final parameters may be published."""
    state = {name: np.asarray(array) for name, array in read_final_state(proof).items() if array.dtype.kind == "f"}
    plain, safe = folder / "weights.npz", folder / "weights.safetensors"
    np.savez(plain, **{name.strip("/").replace("/", "."): array for name, array in state.items()})  # type: ignore[arg-type]
    save_file(state, safe)
    yield Parser("npz", plain.read_bytes(), partial(_read_at, plain, read_npz), share=0.3)
    yield Parser("safetensors", safe.read_bytes(), partial(_read_at, safe, read_safetensors), share=0.3)


def _of_attestations(proof: Proof, folder: Path) -> Iterable[Parser]:
    """Yield the parsers of a signed claim, of a private key, and of an archive."""
    key, file = Ed25519PrivateKey.from_private_bytes(bytes(32)), folder / "key"
    arrays = digest_arrays({name: np.asarray(array) for name, array in read_final_state(proof).items()})
    document = (proof.root / claims.FILE).read_bytes()
    signed = attest_claim(document, name_final(parameters=arrays, state=arrays, deployed=None), key, None)
    yield Parser("attestation", signed, _attested)
    write_new_key(file)
    yield Parser("key", file.read_bytes(), partial(_read_at, file, read_private_key), share=0.3)
    archived, target = b"".join(stream_directory(proof.root / "ledger")), folder / "extracted"
    yield Parser("archive", archived, partial(_extract, target), share=0.3)


def _attested(content: bytes) -> None:
    read_attestation(content, "claim", where="an attestation")


def _extract(target: Path, content: bytes) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    extractor = Extractor(target, ArchiveLimits(), "an archive")
    try:
        extractor.write(content)
        extractor.finish()
    finally:
        extractor.close()


def _of_checkpoints(proof: Proof, folder: Path) -> Iterable[Parser]:
    """Yield a parser for each kind of file of a checkpoint: documents, a manifest, arrays.

    A damaged array may load: its digest is compared in stage 6.
    """
    root = folder / "proof"
    shutil.copytree(proof.root / "checkpoints", root / "checkpoints")
    last = max((root / "checkpoints").iterdir())
    for file in sorted(each for each in last.rglob("*") if each.is_file()):
        read = partial(_load, root, int(last.name), proof)
        yield Parser(f"checkpoint {file.relative_to(last)}", file.read_bytes(), partial(_read_at, file, read), 0.05)


def _load(root: Path, step: int, proof: Proof, _file: Path) -> None:
    load_checkpoint(root, step, proof.commitment.state)


def _read_at(file: Path, read: Callable[[Path], object], content: bytes) -> None:
    """Read bytes by a parser that takes a file; afterwards the file is whole again."""
    whole = file.read_bytes()
    file.write_bytes(content)
    try:
        read(file)
    finally:
        file.write_bytes(whole)
