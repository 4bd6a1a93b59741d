"""What an honest answer needs is within the limits, and little more is."""

from __future__ import annotations

from pathlib import Path

from federation import STEPS, TRUSTED, assignment, model, site, task
from untrusted.behaviours import honest

from pol_jax import open_proof, open_steps
from pol_jax.storage.inventory import list_files
from pol_jax.workers.documents import expect
from pol_jax.workers.limits import limits_of


def test_an_honest_answer_is_within_the_limits(tmp_path: Path) -> None:
    expected = expect(TRUSTED, assignment(0), model(1))
    answer, limits = honest(site(0, tmp_path)), limits_of(expected)
    sizes = list_files(answer.proof, limits)
    assert sum(sizes.values()) <= limits.total_bytes < 2**27, "six checkpoints, with 4 MiB to spare for each"
    for name, size in sizes.items():
        assert size <= limits.file_bytes(name), name
    proof = open_proof(answer.proof)
    for steps in (range(1, STEPS + 1), (4,)):
        opening = open_steps(proof, task(0).source, steps).encode()
        assert len(opening) <= limits_of(expected, len(list(steps))).opening_bytes <= limits.opening_bytes < 2**23
