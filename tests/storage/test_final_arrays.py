"""The final state is read by the names of its arrays, and only if it is the claimed one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pol_jax.errors import ProofError
from pol_jax.protocol.trees import LeafSpec
from pol_jax.storage.final_arrays import NamedLeaves, parameter_paths, read_final_state, select_parameters
from pol_jax.storage.proof import open_proof


def test_arrays_of_the_claimed_final_state_are_read_and_those_of_another_are_not(proof_copy: Path) -> None:
    proof = open_proof(proof_copy)
    found = read_final_state(proof)
    assert list(found) == [leaf.path for leaf in proof.commitment.state]
    for path, own in zip(found, proof.host_leaves(24), strict=True):
        assert (found[path].dtype, found[path].tobytes()) == (own.dtype, own.tobytes())
    claim = json.loads((proof_copy / "claim.json").read_bytes())
    for field, problem in (("final_state", "is not the final state"), ("commitment", "is not the commitment")):
        wrong = json.dumps(claim | {field: "ab" * 32}, sort_keys=True, separators=(",", ":"))
        (proof_copy / "claim.json").write_text(wrong)
        with pytest.raises(ProofError, match=f"{problem} that the claim names"):
            read_final_state(open_proof(proof_copy))


def test_a_state_without_parameters_is_all_parameters() -> None:
    one = np.zeros(1)
    assert select_parameters({"/w": one, "/paramsx": one}).keys() == {"/w", "/paramsx"}
    assert select_parameters({"/params": one, "/w": one}).keys() == {"/params"}


def test_paths_of_parameters_keep_their_order() -> None:
    assert parameter_paths(["/params/w", "/count", "/params", "/params2"]) == ["/params/w", "/params"]
    assert parameter_paths([]) == []


def test_named_leaves_are_looked_up_one_by_one() -> None:
    spec = tuple(LeafSpec(path, "float32", (1,), (1,), None) for path in ("/count", "/params/b", "/params/w"))
    leaves = [np.full(1, at, np.float32) for at in range(3)]
    named = NamedLeaves.of(spec, leaves)
    assert (len(named), list(named)) == (3, ["/count", "/params/b", "/params/w"])
    assert named["/params/w"] is leaves[2]
    parameters = named.parameters()
    assert {path: float(parameters[path][0]) for path in parameters} == {"/params/b": 1.0, "/params/w": 2.0}
    with pytest.raises(KeyError):
        parameters["/count"]
