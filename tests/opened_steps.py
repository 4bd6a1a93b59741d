"""The steps that tests open."""

from __future__ import annotations

import tiny

STEPS = (1, 8, 24)


SOURCE = tiny.plain().source


SECRET = b"s" * 32
