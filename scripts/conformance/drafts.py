"""A draft is a base that is taken apart, changed, and put together again with everything hashed that a change touches.

So a case breaks the one rule that it is about, and no digest gives it away before.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pol_jax.program.artifact import STEP_FILE
from pol_jax.protocol import encoding, merkle
from pol_jax.protocol.documents import encode
from pol_jax.protocol.rows import Row
from pol_jax.storage.ledger import seal, segment_file
from pol_jax.storage.proof import open_proof

Document = dict[str, Any]


class Draft:
    """A proof under change.

    Attributes:
        files: content by name, without the inventory.
        commitment: as plain JSON.
        claim: likewise.
        inventory: changes the inventory, as plain JSON, before it is written.
        links: targets of symbolic links, by name.
        folders: empty directories.
        gone: documents that are taken out at last.
    """

    def __init__(self, root: Path) -> None:
        """Take the proof in ``root`` apart."""
        self.root = root
        found = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
        self.files = {name: path.read_bytes() for name, path in found.items() if name != "inventory.json"}
        self.commitment: Document = json.loads(self.files["commitment.json"])
        self.claim: Document = json.loads(self.files["claim.json"])
        self.inventory: Callable[[Document], object] = lambda document: document
        self.links: dict[str, str] = {}
        self.folders: list[str] = []
        self.gone: list[str] = []
        self._spelled = dict[str, Callable[[bytes], bytes]]()

    def rows(self) -> list[Row]:
        """Return the rows of the base."""
        return list(open_proof(self.root).rows())

    def spell(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Change the bytes of a document, last of all."""
        self._spelled[name] = change

    def program(self, artifact: bytes) -> None:
        """Put another step program in, and commit to it."""
        self.files[STEP_FILE] = artifact
        self.commitment["program"]["step"] = encoding.artifact_digest("step program", artifact).hex()

    def records(self, digests: bytes) -> None:
        """Put other record digests in, and commit to them."""
        self.files["records"] = digests
        leaves = [digests[at : at + 32] for at in range(0, len(digests), 32)]
        self.commitment["data"] |= {"records": len(leaves), "root": merkle.root(leaves).hex()}

    def ledger(self, rows: Sequence[Row], kept: Callable[[Callable[[], bytes]], bytes], segment: int) -> None:
        """Replace one segment of the ledger, and claim the new root and final state.

        Args:
            rows: all of them.
            kept: returns what was written before, and calls the writer only if nothing was.
            segment: the one that differs.
        """
        interval = self.commitment["schedule"]["interval"]
        chosen = [row for at, row in enumerate(rows) if max(0, at - 1) // interval == segment]
        self.files[segment_file(segment)] = kept(lambda: _sealed(segment, chosen))
        self.claim["ledger_root"] = merkle.root([row.digest() for row in rows]).hex()
        if rows[-1].state:
            self.claim["final_state"] = rows[-1].state.hex()

    def finish(self) -> dict[str, bytes]:
        """Return all files; the documents name each other."""
        content = self._spelling("commitment.json", self.commitment)
        version: encoding.Format = (
            encoding.FORMAT_1 if self.commitment.get("format") == encoding.FORMAT_1 else encoding.FORMAT
        )
        committed = encoding.document_digest("commitment", content, version).hex()
        if self.claim.get("commitment") == json.loads(self.files["claim.json"])["commitment"]:
            self.claim["commitment"] = committed
        files = self.files | {"commitment.json": content, "claim.json": self._spelling("claim.json", self.claim)}
        entries = {
            name: {"digest": encoding.file_digest([each]).hex(), "size": len(each)} for name, each in files.items()
        }
        inventory = {"files": entries, "format": self.claim.get("format", "pol-jax/2")}
        self.inventory(inventory)
        return files | {"inventory.json": self._spelling("inventory.json", inventory)}

    def _spelling(self, name: str, document: Document) -> bytes:
        return self._spelled.get(name, bytes)(encode(document))


def changed(row: Row, **fields: Any) -> Row:
    """Return a row with other fields."""
    return dataclasses.replace(row, **fields)


def _sealed(segment: int, rows: Sequence[Row]) -> bytes:
    with TemporaryDirectory() as folder:
        seal(Path(folder), segment, rows)
        return (Path(folder) / segment_file(segment)).read_bytes()
