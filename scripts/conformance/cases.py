"""A case is a base with other files, and the end that its verification must have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal

Splice = tuple[int, int, str]
"""At this place so many bytes are cut out, and these are put in, in hexadecimal."""


@dataclass(frozen=True)
class End:
    """How a verification ends.

    Attributes:
        end: in which way.
        stage: the first stage that is not passed; None for a success, or a document.
        names: the file or field that the refusal is about.
    """

    end: Literal["success", "refused", "inconclusive"]
    stage: int | None = None
    names: str | None = None


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: of its own.
        about: what is right or wrong with it.
        kind: what is verified.
        expected: the end.
        base: the file or directory that it starts from, in the kit; None for a document that is given here.
        put: new contents of files, by name.
        remove: names of files that are taken out.
        links: targets of symbolic links, by name.
        folders: empty directories.
        asked: the challenge of an opening, or the earlier proofs of a proof, or the kind of a document.
    """

    name: str
    about: str
    kind: Literal["proof", "opening", "document"]
    expected: End
    base: str | None = None
    put: Mapping[str, bytes] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)


def splices(old: bytes, new: bytes) -> list[Splice]:
    """Return what makes ``new`` of ``old``, from the last place to the first."""
    pieces = [re.findall(rb"[^,{}\[\]]*[,{}\[\]]?", each)[:-1] for each in (old, new)]
    if not old.startswith(b"{") or not all(pieces):
        return [_trimmed(old, new)]
    starts = [0]
    for piece in pieces[0]:
        starts.append(starts[-1] + len(piece))
    found = SequenceMatcher(None, pieces[0], pieces[1], autojunk=False).get_opcodes()
    edits = [
        (starts[i], starts[j] - starts[i], b"".join(pieces[1][k:m]).hex())
        for tag, i, j, k, m in found
        if tag != "equal"
    ]
    return edits[::-1]


def _trimmed(old: bytes, new: bytes) -> Splice:
    most = min(len(old), len(new))
    begin = next((at for at in range(most) if old[at] != new[at]), most)
    end = next((at for at in range(most - begin) if old[-1 - at] != new[-1 - at]), most - begin)
    return begin, len(old) - begin - end, new[begin : len(new) - end].hex()
