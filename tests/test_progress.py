"""Progress that is passed on now and then loses neither the last count nor an order."""

from __future__ import annotations

from pol_jax.progress import Paced, Silent


class Told(Silent):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.notes = list[str]()

    def begin(self, what: str, total: int, done: int = 0) -> None:
        self.notes.append(what)

    def at(self, done: int, loss: float | None = None) -> None:
        self.notes.append(str(done))

    def end(self) -> None:
        self.notes.append("end")

    def stage(self, number: int) -> None:
        self.notes.append(f"stage {number}")


def tell(paced: Paced) -> None:
    for what in ("one", "two"):
        paced.begin(what, 3)
        for done in (1, 2, 3):
            paced.at(done)
        paced.end()
    paced.stage(9)


def test_counts_in_between_are_left_out() -> None:
    told = Told()
    tell(Paced(told, seconds=3600.0))
    assert told.notes == ["one", "1", "3", "end", "two", "3", "end", "stage 9"]


def test_without_a_pace_all_are_told() -> None:
    told = Told()
    tell(Paced(told, seconds=0.0))
    assert told.notes == ["one", "1", "2", "3", "end", "two", "1", "2", "3", "end", "stage 9"]
