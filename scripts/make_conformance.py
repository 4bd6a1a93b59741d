"""Make the kit for implementers, tests/conformance: proofs and files, and the end that each must have.

    python scripts/make_conformance.py            make what is missing, and write cases.json and records.json
    python scripts/make_conformance.py --check    change nothing; exit 1 if one of them is not what this gives

What jax, Orbax and pyarrow wrote (the honest proofs in ``proofs``, and single files in ``parts``) is made once and then
kept: other versions of them write other bytes. All else follows from it. To make a file again, remove it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from conformance.bases import bases, make_missing, records
from conformance.cases import Case, splices
from conformance.wounded_documents import document_cases
from conformance.wounded_openings import opening_cases
from conformance.wounded_proofs import proof_cases

ROOT: Final = Path(__file__).resolve().parents[1]
KIT: Final = ROOT / "tests" / "conformance"


class Parts:
    """Files that a tool wrote once."""

    def __init__(self, folder: Path, *, complete: bool) -> None:
        """Keep them in ``folder``; where that is complete, none is made."""
        self._folder, self._complete = folder, complete
        self.names = dict[bytes, str]()

    def __call__(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return the part of this name."""
        path = self._folder / name.replace(" ", "-")
        if not path.exists():
            if self._complete:
                raise SystemExit(f"{path}: is missing")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(make())
        return self._read(path)

    def tree(self, name: str, make: Callable[[Path], object]) -> dict[str, bytes]:
        """Return the files of the directory of this name, which ``make`` writes as ``made`` in a folder."""
        folder = self._folder / name.replace(" ", "-")
        if not folder.exists():
            if self._complete:
                raise SystemExit(f"{folder}: is missing")
            with TemporaryDirectory() as made:
                make(Path(made))
                shutil.copytree(Path(made) / "made", folder)
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): self._read(path) for path in found}

    def _read(self, path: Path) -> bytes:
        content = path.read_bytes()
        if content:
            self.names[content] = path.relative_to(KIT).as_posix()
        return content


def cases(kept: Parts) -> Iterator[Case]:
    """Yield all cases."""
    yield from proof_cases(KIT, kept, kept.tree)
    yield from opening_cases(KIT)
    yield from document_cases()


def contents(*, complete: bool = True) -> str:
    """Return what cases.json must hold."""
    kept = Parts(KIT / "parts", complete=complete)
    made = [_plain(case, kept) for case in list(cases(kept))]
    if len({case["name"] for case in made}) != len(made):
        raise SystemExit("two cases have one name")
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, sort_keys=True) for case in made)
    return f'{{"format": "pol-jax/2", "cases": [\n{lines}\n]}}\n'


def record_contents() -> str:
    """Return what records.json must hold: of each base, the array bytes of the leaves of each record."""
    made = dict[str, list[list[str]]]()
    for base in bases():
        arrays = records(base.wide)  # the names of the leaves sort as their paths do
        leaves = [arrays[name] for name in sorted(arrays)]
        made[base.name] = [[leaf[at].tobytes().hex() for leaf in leaves] for at in range(len(leaves[0]))]
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(each)}" for name, each in made.items())
    return f"{{{lines}}}\n"


def _plain(case: Case, kept: Parts) -> dict[str, Any]:
    expected = {name: value for name, value in vars(case.expected).items() if value is not None}
    plain = {"name": case.name, "about": case.about, "kind": case.kind, "expected": expected, **case.asked}
    if case.base:
        plain["base"] = case.base
    if case.put:
        plain["put"] = {name: _edit(case, name, content, kept) for name, content in sorted(case.put.items())}
    for name in ("remove", "links", "folders"):
        if value := getattr(case, name):
            plain[name] = value
    return plain


def _edit(case: Case, name: str, content: bytes, kept: Parts) -> dict[str, Any]:
    """Return the shortest way to say what a file holds."""
    if content in kept.names:
        return {"file": kept.names[content]}
    if len(content) > 100 and not any(content):
        return {"zeros": len(content)}
    if not case.base:
        return _spelled(content)
    base = KIT / case.base
    old = base / name if base.is_dir() else KIT / case.asked["claim"] if name == "claim.json" else base
    if old.is_file():
        return {"splices": splices(old.read_bytes(), content)}
    found = next((path for path in sorted(base.rglob("*")) if path.is_file() and path.read_bytes() == content), None)
    if found and content:
        return {"file": found.relative_to(KIT).as_posix()}
    return _spelled(content)


def _spelled(content: bytes) -> dict[str, Any]:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"hex": content.hex()}


def main(arguments: list[str]) -> int:
    """Write, or compare; return the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    if not arguments:
        make_missing(KIT)
    made = {"cases.json": contents(complete=bool(arguments)), "records.json": record_contents()}
    differing = [name for name, content in made.items() if _stored(KIT / name) != content]
    for name in differing:
        print(f"{(KIT / name).relative_to(ROOT)}: {'differs' if arguments else 'written'}")
        if not arguments:
            (KIT / name).write_text(made[name], encoding="utf-8")
    return int(bool(arguments and differing))


def _stored(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
