"""Changes of a proof, from which its wounds are made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from conformance.drafts import Draft

Change: TypeAlias = Callable[[Draft], object]


def put(name: str, content: bytes) -> Change:
    """Give a file another content."""
    return lambda draft: draft.files.update({name: content})


def listing(change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the list of files."""

    def apply(draft: Draft) -> None:
        draft.inventory = lambda document: change(document["files"])

    return apply


def unlisted(name: str, content: bytes = b"x") -> Change:
    """Add a file that the inventory does not list."""

    def apply(draft: Draft) -> None:
        draft.files[name] = content
        draft.inventory = lambda document: document["files"].pop(name)

    return apply


def together(*changes: Change) -> Change:
    """Change one after the other."""
    return lambda draft: [change(draft) for change in changes]


def flipped(name: str, at: int) -> Change:
    """Flip a bit of a file after the inventory was made."""

    def apply(draft: Draft) -> None:
        content = draft.files[name]
        place = at % len(content)
        wounded = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
        true = draft.finish()["inventory.json"]
        draft.files[name] = wounded
        draft.spell("inventory.json", lambda _: true)

    return apply


def without(*names: str) -> Change:
    """Take files out, and out of the inventory."""
    return lambda draft: [draft.files.pop(each) for each in list(draft.files) if each.startswith(names)]


def lost(name: str) -> Change:
    """Lose a file that the inventory lists."""

    def apply(draft: Draft) -> None:
        true = draft.finish()["inventory.json"]
        draft.files.pop(name)
        draft.spell("inventory.json", lambda _: true)

    return apply


def spelled(name: str, change: Callable[[bytes], bytes]) -> Change:
    """Change the bytes of a document, last of all."""
    return lambda draft: draft.spell(name, change)


def document(name: Literal["commitment", "claim"], path: str, value: Any) -> Change:
    """Set a field of a document; ``...`` takes it away."""

    def apply(draft: Draft) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        node = getattr(draft, name)
        for parent in parents:
            node = node[parent]
        if value is ...:
            del node[last]
        else:
            node[last] = value

    return apply


commitment: Final = partial(document, "commitment")
claim: Final = partial(document, "claim")


def swapped(one: str, other: str) -> Change:
    """Exchange files, or directories with all files below them, by the beginnings of their names."""

    def name_of(name: str) -> str:
        for old, new in ((one, other), (other, one)):
            if name.startswith(old):
                return new + name.removeprefix(old)
        return name

    def apply(draft: Draft) -> None:
        draft.files = {name_of(name): content for name, content in draft.files.items()}

    return apply


def copied(source: str, target: str) -> Change:
    """Put a file, or all files of a directory, in the place of others."""

    def apply(draft: Draft) -> None:
        without(target)(draft)
        copies = {name: content for name, content in draft.files.items() if name.startswith(source)}
        draft.files |= {target + name.removeprefix(source): content for name, content in copies.items()}

    return apply


def edited(name: str, old: bytes, new: bytes) -> Change:
    """Replace bytes, in all files whose names begin so; they must be somewhere."""

    def apply(draft: Draft) -> None:
        named = {each: content for each, content in draft.files.items() if each.startswith(name) and old in content}
        if not named:
            raise ValueError(f"{name}: has no {old!r}")
        draft.files |= {each: content.replace(old, new, 1) for each, content in named.items()}

    return apply


def gone(*names: str) -> Change:
    """Take documents out, last of all."""
    return lambda draft: draft.gone.extend(names)


def linked(name: str, target: str) -> Change:
    """Add a symbolic link."""

    def apply(draft: Draft) -> None:
        draft.links[name] = target

    return apply


def folder(name: str) -> Change:
    """Add an empty directory."""
    return lambda draft: draft.folders.append(name)
