"""What an unfinished run keeps about itself is read strictly, and is that of either version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from stored_vectors import vectors

from pol_jax.errors import ProofError
from pol_jax.protocol.claim import Claim, EnvironmentFrom
from pol_jax.protocol.documents import encode
from pol_jax.storage.open_run import FILE, OpenRun, Preempted, read_open_run

CLAIMS = [each["text"] for each in vectors("documents")["accepted"] if each["kind"] == "claim"]
ENVIRONMENT = replace(Claim.parse(CLAIMS[0].encode()).environment, variables=(), libraries=())
RUN = OpenRun("pol-jax/2", 24, ENVIRONMENT, keep_every=3)


def test_a_run_that_is_not_open_has_none(tmp_path: Path) -> None:
    assert read_open_run(tmp_path) is None


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    moved = replace(ENVIRONMENT, jax="0.0.1")
    run = replace(RUN, preempted=Preempted(7, "ab" * 32), moves=(EnvironmentFrom(6, moved),))
    (tmp_path / FILE).write_bytes(encode(run))
    assert read_open_run(tmp_path) == run
    assert [(each.start, each.environment) for each in run.environments] == [(0, ENVIRONMENT), (6, moved)]


def test_a_run_of_version_1_has_an_environment_that_says_less(tmp_path: Path) -> None:
    plain = json.loads(encode(RUN)) | {"format": "pol-jax/1"}
    for name in ("variables", "libraries"):
        del plain["environment"][name]
    (tmp_path / FILE).write_bytes(encode(plain))
    found = read_open_run(tmp_path)
    assert found == replace(RUN, format="pol-jax/1", environment=replace(ENVIRONMENT, variables=None, libraries=None))


@pytest.mark.parametrize("content", [b"", b"{}", encode(RUN) + b"\n", encode(RUN).replace(b'"steps":24', b'"steps":0')])
def test_a_damaged_document_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ProofError) as refusal:
        read_open_run(tmp_path)
    assert refusal.value.where == FILE


def test_a_document_that_leads_nowhere_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to(tmp_path / "nowhere")
    with pytest.raises(ProofError, match="can't be read"):
        read_open_run(tmp_path)
