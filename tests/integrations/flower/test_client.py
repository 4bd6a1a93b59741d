"""A worker of Flower has a name, says what it registers, and answers by what it has trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from federation import assignment, task

pytest.importorskip("flwr", reason="the extra 'flower' is not installed")

from flwr.app import Context, Message, RecordDict

from pol_jax.errors import UsageError
from pol_jax.integrations.flower.client import proving_client, worker_name
from pol_jax.integrations.flower.records import REGISTER, data_in

pytestmark = pytest.mark.filterwarnings("default")


def context(**configuration: Any) -> Context:
    return Context(7, 3, configuration, RecordDict(), {})


def test_a_worker_is_called_as_its_node_says() -> None:
    assert worker_name(context(worker="north", **{"partition-id": 2})) == "north"
    assert worker_name(context(**{"partition-id": 2})) == "2"
    with pytest.raises(UsageError, match="node_config: expected worker='a name', or partition-id"):
        worker_name(context())


def test_a_worker_registers_its_own_records(tmp_path: Path) -> None:
    client = proving_client(lambda given: task(int(worker_name(given))), tmp_path)
    asked = Message(RecordDict(), dst_node_id=3, message_type=REGISTER)
    record = client(asked, context(**{"partition-id": 1})).content["registration"]
    assert record["worker"] == "1"
    assert data_in(record) == assignment(1).data
    assert list(tmp_path.iterdir()) == []
