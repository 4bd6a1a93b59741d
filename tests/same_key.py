"""A key of a dict that reads like another one in a path."""

from __future__ import annotations


class Same:
    """Two different keys of a dict that read the same in a path."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __str__(self) -> str:
        return "same"

    def __lt__(self, other: Same) -> bool:
        return self.number < other.number
