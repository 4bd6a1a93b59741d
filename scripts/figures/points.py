"""A figure is drawn from measured points, which are kept as JSON beside the image."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Point(msgspec.Struct, frozen=True, array_like=True):
    """A point is one measured value.

    Attributes:
        panel: in which part of the figure.
        series: which line or marker.
        x: where; a number, or a name on an axis of names.
        build: what computed it, or what was measured.
        y: what is drawn.
        l1: distance, where y is a distance or made from one: see `pol_jax.protocol.distances.distance`.
        l2: distance.
        linf: distance.
        cosine: distance.
        update: l2 distance from the state before the steps to the state after them.
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
    """A figure was measured: its points, and how they were obtained.

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
        """Write it with a point on each line, and numbers to four digits."""
        rows = [b"  " + msgspec.json.encode(_short(point)) for point in self.points]
        head = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(self, points=[])), indent=1)
        opened, closed = head.split(b'"points": []')
        path.write_bytes(opened + b'"points": [\n' + b",\n".join(rows) + b"\n ]" + closed + b"\n")

    @classmethod
    def read(cls, path: Path) -> Measured:
        """Read what `write` has written."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


def _short(point: Point) -> Point:
    """Round every number to four digits."""
    numbers = {name: v for name, v in msgspec.structs.asdict(point).items() if isinstance(v, float)}
    return msgspec.structs.replace(point, **{name: float(f"{number:.4g}") for name, number in numbers.items()})
