"""Feed damaged bytes to each parser of untrusted bytes: each must return a value or refuse, and nothing else.

    python scripts/fuzz_parsers.py PROOF [--opening FILE] [--cases N] [--seed S] [--only NAME...]

Takes the files of a proof and, if it is given, of an opening; damages them in up to four places at a time, by bits that
are turned and bytes that are cut out, doubled or put in; and parses what is left. What was parsed from a document, a
row or an opening must encode to the same bytes again. A parser that raises anything but an error of the package has a
bug: the input is written to ``fuzz-NAME-CASE`` in the current directory, and the exit code is 1. The same seed gives
the same cases.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from pol_jax import PolError, open_proof
from pol_jax.errors import ProofError
from pol_jax.program.artifact import INIT_FILE, STEP_FILE, Artifacts, Signature, load_program
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol import inventory
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.documents import encode
from pol_jax.protocol.inventory import Inventory
from pol_jax.protocol.opening import parse_opening
from pol_jax.protocol.rows import decode_row
from pol_jax.storage.ledger import read_segment, segment_file

INTERESTING: Final = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"{",
    b"]",
    b'"',
    b"-0",
    b"1e999",
    b"\xc0\x80",
    b"\xdd\xff\xff\xff\xff",
)
"""Bytes that are put in: ends of ranges, brackets, numbers, no UTF-8, and a MessagePack array of 2^32 - 1 elements."""

MOST_WOUNDS: Final = 4


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


def main() -> None:
    """Damage, parse, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("proof", type=Path)
    parser.add_argument("--opening", type=Path)
    parser.add_argument("--cases", type=int, default=1000, help="for each parser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    options = parser.parse_args()
    bugs = 0
    with tempfile.TemporaryDirectory() as folder:
        for each in parsers(options.proof, options.opening, Path(folder)):
            if options.only and each.name not in options.only:
                continue
            found = fuzz(each, max(1, int(each.share * options.cases)), options.seed)
            print(f"{each.name:12} " + ", ".join(f"{count} {end}" for end, count in sorted(found.items())), flush=True)
            bugs += found["bugs"]
    sys.exit(1 if bugs else 0)


def fuzz(parser: Parser, cases: int, seed: int) -> Counter[str]:
    """Parse damaged inputs, and count how it ended: refused, parsed, or bugs."""
    ends = Counter[str]()
    for case in range(cases):
        content = damaged(parser.whole, np.random.default_rng((seed, case)))
        try:
            again = parser.parse(content)
            end = "parsed" if again in (None, content) else "bugs"
        except PolError:
            end = "refused"
        except Exception:  # noqa: BLE001  # whatever it is, it is the finding
            traceback.print_exc()
            end = "bugs"
        if end == "bugs":
            Path(f"fuzz-{parser.name}-{case}").write_bytes(content)
        ends[end] += 1
    return ends


def damaged(content: bytes, draw: np.random.Generator) -> bytes:
    """Return an input with one to four wounds."""
    found = bytearray(content)
    for _ in range(int(draw.integers(1, MOST_WOUNDS + 1))):
        at = int(draw.integers(0, len(found) + 1))
        length = int(draw.integers(1, 1 + min(64, max(1, len(found) - at))))
        match int(draw.integers(0, 5)):
            case 0 if at < len(found):
                found[at] ^= 1 << int(draw.integers(0, 8))
            case 1:
                del found[at : at + length]
            case 2:
                found[at:at] = found[at : at + length]
            case 3:
                found[at:at] = INTERESTING[int(draw.integers(0, len(INTERESTING)))]
            case _:
                del found[at:]
    return bytes(found)


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


if __name__ == "__main__":
    main()
