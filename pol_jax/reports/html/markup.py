"""Elements of HTML and SVG. Text is escaped unless it is `Markup`, so that nothing of a proof becomes markup."""

from __future__ import annotations

import html

from pol_jax.errors import printable

_MOST_TEXT = 4000

Content = str | int | float | None


class Markup(str):
    """What is markup already. Joined with a plain string it is plain again: a mistake shows, and harms nothing."""

    __slots__ = ()


def tag(element: str, *content: Content, **attributes: Content) -> Markup:
    """An element.

    Args:
        element: its name.
        content: markup as it is, anything else escaped; None is left out.
        attributes: ``class_`` is class, ``aria_label`` is aria-label; None is left out.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_text(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{element}{written}>{together(*content)}</{element}>")


def void(element: str, **attributes: Content) -> Markup:
    """An element that has no content and no end."""
    return Markup(tag(element, **attributes).removesuffix(f"</{element}>"))


def together(*content: Content) -> Markup:
    """One thing after the other."""
    return Markup("".join(_text(part) for part in content if part is not None))


def _text(value: Content) -> str:
    return value if isinstance(value, Markup) else html.escape(printable(str(value), _MOST_TEXT))
