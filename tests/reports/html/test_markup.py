"""Markup escapes all text."""

from __future__ import annotations

from pol_jax.reports.html.markup import Markup, tag, together


def test_markup_escapes_all_but_itself() -> None:
    assert tag("p", "<", Markup("<br>"), None, class_='"') == '<p class="&quot;">&lt;<br></p>'
    assert together(tag("b") + "", 1) == "&lt;b&gt;&lt;/b&gt;1"
