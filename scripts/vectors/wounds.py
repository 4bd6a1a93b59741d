"""A wound is a document with a single fault; it stands beside what its refusal must say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pol_jax.errors import ProofError
from vectors.form import Vector
from vectors.valid_documents import PARSERS


@dataclass(frozen=True)
class Wound:
    """A document has a single fault.

    Attributes:
        name: what the fault is.
        kind: of the document: commitment, claim or inventory.
        layer: the rules that it breaks: "json" for canonical JSON, "schema" for the fields of the document.
        field: which the refusal names; "" where the fault lies in no field.
        content: the document's bytes.
    """

    name: str
    kind: str
    layer: Literal["json", "schema"]
    field: str
    content: bytes

    def vector(self) -> Vector:
        """Return it as it stands in the file: as text, or in hex where the text could not be read."""
        text = {"text": self.content.decode()} if self._is_text() else {"hex": self.content.hex()}
        return {"name": self.name, "kind": self.kind, "layer": self.layer, "names": self.field, **text}

    def check(self) -> None:
        """Make sure that the package refuses it, and names the document and the field.

        Raises:
            SystemExit: it doesn't.
        """
        try:
            PARSERS[self.kind](self.content)
        except ProofError as error:
            if str(error).startswith(f"{self.kind}.json: ") and self.field in str(error):
                return
            raise SystemExit(f"{self.name}: the refusal doesn't name {self.field!r}: {error}") from None
        raise SystemExit(f"{self.name}: is not refused")

    def _is_text(self) -> bool:
        try:
            return self.content.decode().isprintable()
        except UnicodeDecodeError:
            return False
