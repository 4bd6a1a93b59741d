"""Lists of numbers, nonces and challenges are parsed from the words of the command line, without jax."""

from __future__ import annotations

import re

from pol_jax.errors import UsageError
from pol_jax.protocol.challenge import check_nonce
from pol_jax.protocol.policies import ListedSteps, RandomSteps, StepPolicy

_RANGE = re.compile(r"(\d{1,12})(?:-(\d{1,12}))?\Z", re.ASCII)  # without ASCII, \d takes digits of all scripts


def parse_list(text: str) -> tuple[int, ...]:
    """Return the numbers of a list with ranges: ``0,3,7-9`` is 0, 3, 7, 8, 9.

    Raises:
        UsageError: the text is no such list, or has more than a million numbers.
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = _RANGE.match(part.strip())
        if not match:
            raise UsageError(f"{text!r}: expected numbers and ranges, such as 0,3,7-9")
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first + len(numbers) > 1_000_000:
            raise UsageError(f"{text!r}: more than a million numbers; use --all")
        numbers += range(first, last + 1)
    return tuple(numbers)


def parse_nonce(text: str | None) -> bytes | None:
    """Return the bytes of a nonce in hex, 16 to 64 of them, or None if there is none."""
    try:
        nonce = None if text is None else bytes.fromhex(text)
    except ValueError:
        raise UsageError(f"--nonce {text!r}: expected hex digits") from None
    return None if nonce is None else check_nonce(nonce)


def step_policy(steps: str | None, confidence: float | None, fraction: float | None) -> StepPolicy:
    """Return the challenge of steps that options ask for: a list, or else random steps."""
    chance = {name: x for name, x in (("confidence", confidence), ("fraction", fraction)) if x is not None}
    if steps is None:
        return RandomSteps(**chance)
    if chance:
        raise UsageError(f"--{next(iter(chance))}: is about random steps; leave out --steps")
    return ListedSteps(parse_list(steps))
