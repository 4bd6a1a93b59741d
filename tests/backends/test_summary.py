"""The summary on a terminal shows text of strangers as text."""

from __future__ import annotations

from measured_backends import outcome, shown
from msgspec.structs import replace

from pol_jax.backends.results import Results


def test_text_of_strangers_is_text(results: Results) -> None:
    plain = outcome(results, "cuda")
    strange = replace(results, machine="[red]\x1b[31m\n", outcomes=(replace(plain, reason="[bold]\x07 \u202e"),))
    text = shown((strange,))
    assert "[red]" in text
    assert "[bold]" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
