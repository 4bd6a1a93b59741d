"""These functions make elements of HTML and SVG.

Text is escaped unless it is `Markup`, so that no text of a proof can become markup.
"""

from __future__ import annotations

import html

from pol_jax.errors import printable

_LONGEST_TEXT = 4000
"""A text has at most this many characters on the page: names and reasons are the prover's, and may be long."""

Content = str | int | float | None


class Markup(str):
    """Markup is a string that is not escaped again.

    Joined with a plain string, it is a plain string, which will be escaped: such a mistake is visible and harmless.
    """

    __slots__ = ()


def tag(element: str, *content: Content, **attributes: Content) -> Markup:
    """Return an element.

    Args:
        element: name of the element.
        content: what it contains: markup as it is, anything else escaped; None is left out.
        attributes: ``class_`` stands for class, ``aria_label`` for aria-label; None is left out.
    """
    # Python reserves the word "class", and has no names with a hyphen.
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_text(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{element}{written}>{together(*content)}</{element}>")


def void(element: str, **attributes: Content) -> Markup:
    """Return an element that has no content and no end tag."""
    return Markup(tag(element, **attributes).removesuffix(f"</{element}>"))


def together(*content: Content) -> Markup:
    """Return the contents one after the other, each escaped unless it is markup."""
    return Markup("".join(_text(part) for part in content if part is not None))


def _text(value: Content) -> str:
    return value if isinstance(value, Markup) else html.escape(printable(str(value), _LONGEST_TEXT))
