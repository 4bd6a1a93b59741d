"""An opening that is taken apart, changed, and put together again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from conformance.drafts import changed
from pol_jax.protocol import encoding, merkle
from pol_jax.protocol.documents import encode
from pol_jax.protocol.rows import Row
from pol_jax.storage.proof import open_proof


class OpeningDraft:
    """An opening under change.

    Attributes:
        root: the proof's directory.
        opening: as plain values of MessagePack.
        claim: as plain JSON.
        commitment: likewise.
    """

    def __init__(self, root: Path) -> None:
        """Take the opening of the proof in ``root`` apart."""
        self.root = root
        self.opening: dict[str, Any] = msgspec.msgpack.decode(root.with_suffix(".opening").read_bytes())
        self.claim: dict[str, Any] = json.loads((root / "claim.json").read_bytes())
        self.commitment: dict[str, Any] = json.loads((root / "commitment.json").read_bytes())
        self._true_claim = encode(self.claim)
        self.spell: Callable[[bytes], bytes] = bytes

    def commit(self) -> None:
        """Put the changed commitment in, and claim it."""
        content = encode(self.commitment)
        self.opening["commitment"] = content
        self.claim["commitment"] = encoding.document_digest("commitment", content, "pol-jax/2").hex()

    def row(self, step: int, **fields: Any) -> None:
        """Change a row, and claim the ledger that has it."""
        rows: list[Row] = list(open_proof(self.root).rows())
        rows[step] = changed(rows[step], **fields)
        leaves = [row.digest() for row in rows]
        self.claim["ledger_root"] = merkle.root(leaves).hex()
        steps = [open_step(each) for each in self.opening["rows"]]
        for each, at, path in zip(self.opening["rows"], steps, merkle.proofs(leaves, steps), strict=True):
            each |= {"row": rows[at].encode(), "path": list(path)}
        self.claim["final_state"] = (rows[-1].state or bytes(32)).hex()

    def finish(self) -> tuple[bytes, bytes]:
        """Return the opening and the claim; the opening opens the claim."""
        content = encode(self.claim)
        if content != self._true_claim:
            self.opening["claim"] = encoding.document_digest("claim", content, "pol-jax/2")
        return self.spell(msgspec.msgpack.encode(self.opening)), content


def open_step(row: dict[str, Any]) -> int:
    """Return the step of an opened row."""
    return int.from_bytes(row["row"][:8], "little")
