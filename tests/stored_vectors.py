"""This module reads the test vectors that are stored."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from places import ROOT


@cache
def vectors(name: str) -> Any:
    return json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text())


def unhex(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def content_of(vector: dict[str, str]) -> bytes:
    return vector["text"].encode() if "text" in vector else bytes.fromhex(vector["hex"])
