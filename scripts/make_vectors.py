"""Write the test vectors, and the worked bytes of docs/protocol.md that are cut from them.

    python scripts/make_vectors.py            write tests/vectors/*.json and the marked blocks of the document
    python scripts/make_vectors.py --check    change nothing; exit 1 and name what differs

The vectors pin the formats: a difference that this finds is a break of the format, unless the document and the version
were changed first. What each file holds is made by one module of ``scripts/vectors``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from vectors.families import FAMILIES
from vectors.form import to_json
from vectors.worked_bytes import blocks, fill

ROOT: Final = Path(__file__).resolve().parents[1]
VECTORS: Final = ROOT / "tests" / "vectors"
DOCUMENT: Final = ROOT / "docs" / "protocol.md"


def contents() -> dict[Path, str]:
    """Return what every file must hold."""
    made = {name: make() for name, make in FAMILIES.items()}
    files = {VECTORS / f"{name}.json": to_json(value) for name, value in made.items()}
    as_stored = json.loads(json.dumps(made))
    return files | {DOCUMENT: fill(DOCUMENT.read_text(), blocks(as_stored))}


def main(arguments: list[str]) -> int:
    """Write, or compare; return the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    differing = 0
    for path, content in contents().items():
        if path.exists() and path.read_text() == content:
            continue
        differing = 1
        print(f"{path.relative_to(ROOT)}: {'differs' if arguments else 'written'}")
        if not arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
    return differing if arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
