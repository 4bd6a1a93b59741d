"""Single documents, right and wrong: those of the test vectors (docs/protocol.md, section 2)."""

from __future__ import annotations

from collections.abc import Iterator

from vectors import documents

from conformance.cases import Case, End


def document_cases() -> Iterator[Case]:
    """Yield the documents that are accepted, then those that are refused."""
    made = documents.vectors()
    for at, each in enumerate(made["accepted"]):
        yield _case(f"document {at}: a {each['kind']}", each, End("success"))
    for each in made["refused"]:
        yield _case(f"document: {each['name']}", each, End("refused", names=each["names"] or None))


def _case(name: str, vector: dict[str, str], expected: End) -> Case:
    content = vector["text"].encode() if "text" in vector else bytes.fromhex(vector["hex"])
    kind = vector["kind"]
    return Case(name, name, "document", expected, put={f"{kind}.json": content}, asked={"document": kind})
