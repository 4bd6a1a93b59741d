"""Documents of pol-jax/1 are read with today's fields, and written again as they were."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from stored_vectors import vectors

from pol_jax.errors import ProofError
from pol_jax.protocol import version_1

ALL = [(vector["kind"], json.loads(vector["text"])) for vector in vectors("documents")["accepted"]]
COMMITMENTS, CLAIMS = (
    [plain for kind, plain in ALL if kind == wanted and plain["format"] == "pol-jax/1"]
    for wanted in ("commitment", "claim")
)
ENVIRONMENT = {"variables": None, "libraries": None}


@pytest.mark.parametrize("plain", COMMITMENTS)
def test_a_commitment_has_all_fields_of_today_and_is_written_as_it_was(plain: Any) -> None:
    before = deepcopy(plain)
    new = version_1.upgrade_commitment(plain, "commitment.json")
    assert plain == before
    assert (new["arithmetic"], new["mesh"], new["program"]["loss"]) == (None, None, "loss")
    assert (new["schedule"]["steps"], new["schedule"]["may_stop_early"]) == (None, True)
    assert version_1.downgrade_commitment(new) == plain


@pytest.mark.parametrize("plain", CLAIMS)
def test_a_claim_has_one_environment_from_step_0_and_is_written_as_it_was(plain: Any) -> None:
    before = deepcopy(plain)
    new = version_1.upgrade_claim(plain, "claim.json")
    assert plain == before
    assert new["environments"] == [{"from": 0, "environment": plain["environment"] | ENVIRONMENT}]
    assert new["interventions"] == []
    assert version_1.downgrade_claim(new) == plain


@pytest.mark.parametrize(
    ("part", "name"),
    [((), "mesh"), ((), "arithmetic"), (("program",), "loss"), (("schedule",), "may_stop_early")],
)
def test_a_field_of_today_in_a_commitment_of_version_1_is_refused(part: tuple[str, ...], name: str) -> None:
    plain = deepcopy(COMMITMENTS[0])
    (plain[part[0]] if part else plain)[name] = None
    with pytest.raises(ProofError, match=f"{'.'.join((*part, name))}: is no field of pol-jax/1"):
        version_1.upgrade_commitment(plain, "commitment.json")


def test_a_field_of_today_in_a_claim_of_version_1_is_refused() -> None:
    changes: list[dict[str, Any]] = [
        {"interventions": []},
        {"environment": CLAIMS[0]["environment"] | {"libraries": []}},
    ]
    for change in changes:
        with pytest.raises(ProofError, match="is no field of pol-jax/1"):
            version_1.upgrade_claim(CLAIMS[0] | change, "claim.json")


@pytest.mark.parametrize("plain", [[], None, "text", {"program": 3, "environment": []}])
def test_what_is_no_document_is_left_for_the_reader_to_refuse(plain: Any) -> None:
    for upgrade in (version_1.upgrade_commitment, version_1.upgrade_claim):
        assert isinstance(upgrade(plain, "x"), type(plain))


def test_an_open_run_of_either_version_has_todays_environment() -> None:
    old = {"steps": 3, "environment": CLAIMS[0]["environment"]}
    new = version_1.upgrade_open_run(old, "run.json")
    assert new == old | {"environment": old["environment"] | ENVIRONMENT}
    assert version_1.upgrade_open_run(new, "run.json") == new
    assert version_1.upgrade_open_run({"environment": 3}, "run.json") == {"environment": 3}
