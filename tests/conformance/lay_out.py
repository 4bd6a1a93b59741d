"""Lay a case of cases.json out as a directory: python lay_out.py CASE DIRECTORY (plain Python 3.10, nothing else)."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

KIT = Path(__file__).resolve().parent


def content_of(edit: dict[str, Any], path: Path) -> bytes:
    """Return what a file gets; ``splices`` change what it has."""
    if "file" in edit:
        return Path(KIT, edit["file"]).read_bytes()
    content: bytes = path.read_bytes() if "splices" in edit else b""
    for at, cut, new in edit.get("splices", []):
        content = content[:at] + bytes.fromhex(new) + content[at + cut :]
    text: str = edit.get("text", "")
    return content + text.encode() + bytes.fromhex(edit.get("hex", "")) + bytes(edit.get("zeros", 0))


def lay_out(case: dict[str, Any], target: Path) -> None:
    """Write the files of a case; it is a directory that is not there yet."""
    base = KIT / case.get("base", "cases.json")
    if base.is_dir():
        shutil.copytree(base, target)
    else:
        target.mkdir()
    if case["kind"] == "opening":
        shutil.copy(KIT / case["claim"], target / "claim.json")
        shutil.copy(base, target / "opening")
    for name in case.get("remove", []):
        (target / name).unlink()
    for folder in sorted((path for path in target.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    for name, edit in case.get("put", {}).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content_of(edit, path))
    for name in case.get("folders", []):
        (target / name).mkdir(parents=True)
    for name, to in case.get("links", {}).items():
        (target / name).symlink_to(to)


if __name__ == "__main__":
    cases = {case["name"]: case for case in json.loads((KIT / "cases.json").read_text(encoding="utf-8"))["cases"]}
    lay_out(cases[sys.argv[1]], Path(sys.argv[2]))
