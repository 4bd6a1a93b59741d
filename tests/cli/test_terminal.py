"""Progress on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment

from pol_jax.cli.terminal import Bars


def test_bars_are_quiet_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    bars.begin("training", 10)
    bars.at(5, 1.0)
    bars.end()
    assert capfd.readouterr() == ("", "")


def test_progress_is_drawn_on_a_terminal(tmp_path: Path) -> None:
    """A real pseudo-terminal: the bar shows steps, speed and loss."""
    import pty

    command = [
        sys.executable,
        "-m",
        "pol_jax.cli",
        "train",
        "tiny:plain",
        "--out",
        str(tmp_path / "proof"),
        "--steps",
        "300",
    ]
    main, secondary = pty.openpty()
    with subprocess.Popen(
        command, stdout=secondary, stderr=secondary, env=environment() | {"COLUMNS": "120"}
    ) as process:
        os.close(secondary)
        shown = read_all(main)
    os.close(main)
    assert process.returncode == 0
    assert "training" in shown
    assert "300/300" in shown
    assert "/s" in shown
    assert "loss 0." in shown


def read_all(terminal: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how a pseudo-terminal says that the other side is gone
            part = b""
        if not part:
            return b"".join(parts).decode(errors="replace")
        parts.append(part)
