"""Feed damaged bytes to each parser of untrusted bytes: each must return a value or refuse, and nothing else.

    python scripts/fuzz_parsers.py PROOF [--opening FILE] [--cases N] [--seed S] [--only NAME...]

Takes the files of a proof and, if it is given, of an opening, and files of weights, attestations, keys and archives
that are made of it; damages them in up to four places at a time, by bits that are turned and bytes that are cut out,
doubled or put in; and parses what is left. What was parsed from a document, a row or an opening must encode to the same
bytes again. A parser that raises anything but an error of the package has a bug: the input is written to
``fuzz-NAME-CASE`` in the current directory, and the exit code is 1. The same seed gives the same cases.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
from red_team.parsers import Parser, parsers

from pol_jax import PolError
from pol_jax.cli.terminal import quiet_libraries

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


def main() -> None:
    """Damage, parse, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("proof", type=Path)
    parser.add_argument("--opening", type=Path)
    parser.add_argument("--cases", type=int, default=1000, help="for each parser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    options = parser.parse_args()
    quiet_libraries()
    bugs = 0
    with tempfile.TemporaryDirectory() as folder:
        for each in parsers(options.proof, options.opening, Path(folder)):
            if options.only and each.name not in options.only:
                continue
            found = fuzz(each, max(1, int(each.share * options.cases)), options.seed)
            print(f"{each.name:40} " + ", ".join(f"{count} {end}" for end, count in sorted(found.items())), flush=True)
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
            Path(f"fuzz-{re.sub(r'[^a-z]+', '-', parser.name)}-{case}").write_bytes(content)
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


if __name__ == "__main__":
    main()
