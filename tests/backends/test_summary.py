"""The summary on a terminal shows text of strangers as text."""

from __future__ import annotations

from io import StringIO

import pytest
from measured_backends import outcome, shown
from msgspec.structs import replace
from rich.console import Console

from pol_jax.backends.results import Results
from pol_jax.backends.summary import backend_summary


def test_text_of_strangers_is_text(results: Results) -> None:
    plain = outcome(results, "cuda")
    strange = replace(results, machine="[red]\x1b[31m\n", outcomes=(replace(plain, reason="[bold]\x07 \u202e"),))
    text = shown((strange,))
    assert "[red]" in text
    assert "[bold]" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_cuts_no_number(results: Results, width: int) -> None:
    console = Console(file=StringIO(), force_terminal=True, width=width, color_system=None)
    console.print(backend_summary((results,), narrow=True))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert text.count("…") == 1  # of the claim
    assert "\n  bits A, equal " in text
