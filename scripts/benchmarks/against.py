"""Two checkouts are compared: each part is measured in turns, with the package of the one and of the other."""

from __future__ import annotations

import io
import json
import os
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.table import Line

ROOT = Path(__file__).parents[2]
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def compare(revision: str, parts: Sequence[str], arguments: Sequence[str], rounds: int) -> Iterator[Line]:
    """Measure each part with the package of ``revision`` and with that of the working tree, in turns.

    The scripts are those of the working tree. Both measure what both packages can do: a part that fails with one of
    them is left out, and a line says so.

    Args:
        revision: as git names it.
        parts: of the benchmark.
        arguments: for the benchmark, such as ``--quick``.
        rounds: how often they take turns; the medians are compared.

    Raises:
        subprocess.CalledProcessError: git has no such revision.
    """
    with tempfile.TemporaryDirectory() as folder:
        _unpack(revision, Path(folder))
        for part in parts:
            yield from _part(revision, [(revision, Path(folder)), ("here", ROOT)], part, arguments, rounds)


def _unpack(revision: str, folder: Path) -> None:
    """Write the package of a revision into a folder."""
    content = subprocess.run(["git", "archive", revision, "pol_jax"], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(content.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _part(
    revision: str, checkouts: Sequence[tuple[str, Path]], part: str, arguments: Sequence[str], rounds: int
) -> Iterator[Line]:
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: {name: [] for name, _ in checkouts})
    for _round in range(rounds):
        for name, place in checkouts:
            try:
                lines = _lines_of(place, part, arguments)
            except subprocess.CalledProcessError as error:
                reason = (error.stderr.strip().splitlines() or ["it failed"])[-1]
                yield Line(part, "not measured", "", f"{name}: {reason[:120]}")
                return
            for line in lines:
                found[line.what][name].append(line.value)
    for what, values in found.items():
        before, after = (_median(values[name]) for name, _ in checkouts)
        ratio = f"{after / before:.3f}" if before and after is not None else "-"
        yield Line(what, ratio, "", f"{revision}: {before}; here: {after}")


def _lines_of(package: Path, part: str, arguments: Sequence[str]) -> list[Line]:
    command = [sys.executable, str(ROOT / "scripts/benchmark.py"), "--json", "--only", part, *arguments]
    environment = os.environ | {"PYTHONPATH": str(package)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return [Line(**line) for line in json.loads(done.stdout)]


def _median(values: Sequence[str]) -> float | None:
    """Return the median of the first numbers in texts; None if one has no number."""
    numbers = [match.group() for value in values if (match := _NUMBER.search(value))]
    return statistics.median(map(float, numbers)) if numbers and len(numbers) == len(values) else None
