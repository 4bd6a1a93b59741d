"""A process of ours starts confined, imports nothing that lies beside a proof, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT, TESTS

from pol_jax.sandbox import starting

pytestmark = pytest.mark.started


def test_modules_are_found_beside_this_package_and_on_absolute_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path would be one in whatever directory a command is given in: the proof's, perhaps."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/absolute", "relative", "", ".", "/other"]))
    assert starting._module_paths() == [str(ROOT), "/absolute", "/other"]


def test_a_folder_for_the_child_is_removed_and_no_report_is_lost_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with starting._scratch() as folder:
        (Path(folder) / "file").touch()
    assert not Path(folder).exists()

    def full(_: str) -> None:
        raise OSError(28, "No space left on device")

    with starting._scratch() as folder:
        monkeypatch.setattr("shutil.rmtree", full)
    monkeypatch.undo()
    os.rmdir(folder)


@pytest.mark.apart
def test_that_process_is_confined_and_bounded(
    plain_proof: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts as that of a verification does, which test_confinement.py attacks."""
    (tmp_path / "secret").write_text("secret")
    code = (
        f"try:\n    open({str(tmp_path / 'secret')!r})\nexcept PermissionError:\n    print('refused', unrestricted)\n"
        "raise SystemExit\n"
    )
    start = starting._CODE.replace("from pol_jax.garbage", code + "from pol_jax.garbage")
    monkeypatch.setattr(starting, "_CODE", start)
    with starting.reading_process(str(plain_proof)) as started:
        assert started.describe_end() == "ended without a report: refused []"


def test_modules_beside_a_proof_are_not_imported(proof_copy: Path, tmp_path: Path) -> None:
    """Neither by the child nor by the caller: a proof is data, also where one stands in its directory."""
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w').close()"
    for name in ("jaxtyping", "msgspec", "secrets", "optax", "flax"):
        (tmp_path / f"{name}.py").write_text(trap)
        (proof_copy / f"{name}.py").write_text(trap)
    code = "from pol_jax.cli.main import main; main()"
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    for folder, proof in ((proof_copy, "."), (tmp_path, "proof")):
        command = [sys.executable, "-P", "-c", code, "verify", proof, "--task", "tiny:plain"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "is no file of a proof" in done.stdout
    assert not (tmp_path / "sprung").exists()
