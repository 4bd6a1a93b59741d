"""What a figure is drawn from: measured points, kept as JSON beside the image."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One measured value.

    Attributes:
        panel: in which part of the figure.
        series: which line or marker.
        x: where; a number, or a name on an axis of names.
        build: what computed it, or what was measured.
        y: what is drawn.
        l1: distances, where y is one of them or made from them: see `pol_jax.verifying.update_sizes.distance`.
        l2: likewise.
        linf: likewise.
        cosine: likewise.
        update: l2 distance of what was trained, from the first state to the last.
    """

    panel: str
    series: str
    x: float | str
    build: str
    y: float
    l1: float | None = None
    l2: float | None = None
    linf: float | None = None
    cosine: float | None = None
    update: float | None = None


class Measured(msgspec.Struct, frozen=True):
    """All points of a figure, and how they came about.

    Attributes:
        figure: its name.
        quick: whether measured with the settings of tests.
        environment: versions and processor.
        settings: what was run, one sentence a panel.
        left_out: what was not measured, and why.
        seconds: that measuring took.
        points: what was measured.
    """

    figure: str
    quick: bool
    environment: dict[str, str]
    settings: list[str]
    left_out: list[str]
    seconds: float
    points: list[Point]

    def write(self, path: Path) -> None:
        """Keep it, a point a line, numbers to four digits."""
        rows = [b"  " + msgspec.json.encode(_short(point)) for point in self.points]
        head = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(self, points=[])), indent=1)
        opened, closed = head.split(b'"points": []')
        path.write_bytes(opened + b'"points": [\n' + b",\n".join(rows) + b"\n ]" + closed + b"\n")

    @classmethod
    def read(cls, path: Path) -> Measured:
        """What was kept."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


def _short(point: Point) -> Point:
    """Round every number to four digits."""
    numbers = {name: v for name, v in msgspec.structs.asdict(point).items() if isinstance(v, float)}
    return msgspec.structs.replace(point, **{name: float(f"{number:.4g}") for name, number in numbers.items()})
