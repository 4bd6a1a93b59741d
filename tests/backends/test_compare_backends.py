"""The script for machines that have jax alone measures an opening, and writes what can be merged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from measured_backends import one_more, outcome, pol
from places import SCRIPTS

from pol_jax.backends.results import Results, write_results
from pol_jax.protocol.opening import Opening
from pol_jax.storage.openings import write_opening

SCRIPT = SCRIPTS / "compare_backends.py"


BARE = """
import runpy, sys
class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Bare())
sys.argv[1:] = {arguments!r}
runpy.run_path({script!r}, run_name="__main__")
"""


ABSENT = {
    "pyarrow",
    "orbax",
    "rich",
    "click",
    "matplotlib",
    "flax",
    "optax",
    "sklearn",
    "tensorflow_datasets",
    "PIL",
    "plotext",
    "cryptography",
}


def bare(absent: set[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The script where only so much is installed."""
    code = BARE.format(absent=absent, arguments=[str(each) for each in arguments], script=str(SCRIPT))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_bare_machine_needs_the_opening_alone(opening: Opening, results: Results, tmp_path: Path) -> None:
    write_opening(tmp_path / "opening", opening)
    options = ("--config", one_more(tmp_path), "--only", "one more", "cuda")
    done = bare(ABSENT, tmp_path / "opening", "--out", tmp_path / "r.json", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cuda: missing: ")
    assert (
        f"one more: ran: {sum(each.exact for each in outcome(results, 'cpu, no optimisation').of('step'))} of 5"
        in done.stdout
    )
    own_file = tmp_path / "here.json"
    write_results(own_file, results)
    found = pol("--merge", tmp_path / "r.json", own_file, "--out", tmp_path / "joined")
    assert found.exit_code == 0, found.output
    assert "one more [1]" in found.output
    names = {path.name for path in (tmp_path / "joined").iterdir()}
    assert {"results.parquet", "results.csv", "steps.png"} <= names
    assert "results.json" not in names


@pytest.mark.parametrize("package", ["msgspec", "blake3"])
def test_a_bare_machine_is_told_what_it_lacks(package: str, tmp_path: Path) -> None:
    done = bare({package}, tmp_path / "opening", "--out", tmp_path / "r.json")
    assert done.returncode == 2
    assert done.stderr.startswith(f"compare_backends: {package} is not installed: pip install ")
    assert len(done.stderr.splitlines()) == 1
