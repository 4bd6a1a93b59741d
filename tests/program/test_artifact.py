"""Exported programs are loaded under the commitment's signature, and need nothing of the task's."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.export
import numpy as np
import pytest
import tiny
from places import TESTS

from pol_jax.errors import ProofError
from pol_jax.program.artifact import INIT_FILE, STEP_FILE, Artifacts, load_program
from pol_jax.program.signature import Signature
from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.storage.proof import open_proof
from pol_jax.training.export import signature_of

PRNG = "threefry2x32"


# --- nothing of the task's is needed -----------------------------------------------------------------------------

ALONE = """
import json, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("flax", "optax", "tiny", "task_of_mine"):
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Nothing())
import numpy as np
from pol_jax.training.records import Arrays
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.proof_verifier import ProofVerifier
from pol_jax.verifying.request import ProofRequest

with np.load("records.npz") as file:
    source = Arrays(dict(file))
for path in sys.argv[1:]:
    proof = open_proof(path)
    program = proof.program()
    report = ProofVerifier(ProofRequest(path=path), source).run()
    final = proof.final_state()
    print(json.dumps([str(report.verdict), sorted({"flax", "optax", "tiny"} & set(sys.modules))]))
"""


def test_a_verifier_needs_none_of_the_tasks_libraries(tmp_path: Path, plain_proof: Path) -> None:
    train(tiny.linen(), tmp_path / "linen", steps=4, choices=Choices(interval=2))
    np.savez(tmp_path / "records.npz", allow_pickle=False, **tiny.points())
    (tmp_path / "alone.py").write_text(ALONE)
    command = [sys.executable, "alone.py", str(plain_proof), str(tmp_path / "linen")]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert [json.loads(line) for line in result.stdout.splitlines()] == [["accepted", []]] * 2


def test_artifacts_hold_no_path_of_the_provers_machine(plain_proof: Path) -> None:
    for name in (INIT_FILE, STEP_FILE):
        content = (plain_proof / name).read_bytes()
        for path in (TESTS, Path.home(), sys.prefix, Path(jax.__file__).parent):
            assert str(path).encode() not in content, f"{name} holds {path}"
        assert b".py" not in content


# --- loading -----------------------------------------------------------------------------------------------------


def test_program_of_the_proof_runs_under_its_signature(plain_proof: Path) -> None:
    proof = open_proof(plain_proof)
    signature = Signature.from_commitment(proof.commitment)
    assert signature == signature_of(tiny.plain(), PRNG)
    leaves = proof.program().init(np.zeros(2, np.uint32))
    assert [(leaf.shape, leaf.dtype) for leaf in leaves] == [(leaf.shape, leaf.dtype) for leaf in signature.leaves()]


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"not a program", b"\x80\x04N."])
def test_bytes_that_are_no_program_are_refused(content: bytes, plain_proof: Path) -> None:
    signature = Signature.from_commitment(open_proof(plain_proof).commitment)
    with pytest.raises(ProofError, match=r"program/step\.jax_export: is no exported program"):
        load_program(Artifacts((plain_proof / INIT_FILE).read_bytes(), content), signature)


@pytest.mark.parametrize("field", ["ordered_effects", "unordered_effects"])
def test_program_with_effects(field: str, plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = Signature.from_commitment(open_proof(plain_proof).commitment)
    read, effects = jax.export.deserialize, {field: ("an effect",)}
    monkeypatch.setattr("jax.export.deserialize", lambda content: replace(read(content), **effects))  # type: ignore[arg-type]
    contents = ((plain_proof / name).read_bytes() for name in (INIT_FILE, STEP_FILE))
    with pytest.raises(ProofError, match=r"program/init\.jax_export: has effects"):
        load_program(Artifacts(*contents), signature)
