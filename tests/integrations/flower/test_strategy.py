"""Flower with workers that cheat: only proven updates reach the wrapped strategy; skipped without Flower."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from federation import INTERVAL, STEPS, TRUSTED, assignment, model, task
from tiny import BATCH

pytest.importorskip("flwr", reason="the extra 'flower' is not installed")

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Bulyan, FedAdam, FedAvg, FedTrimmedAvg, Krum, Strategy

from pol_jax.attesting.public_key import public_text
from pol_jax.errors import UsageError
from pol_jax.integrations.flower.client import proving_client, worker_name
from pol_jax.integrations.flower.plan import Plan
from pol_jax.integrations.flower.records import (
    arrays_of,
)
from pol_jax.integrations.flower.strategy import ProvenStrategy

pytestmark = [pytest.mark.usefixtures("in_process"), pytest.mark.filterwarnings("default")]

PLAN = Plan(steps=STEPS, batch_size=BATCH, interval=INTERVAL, share=0.5)
Cheat = Callable[[RecordDict], RecordDict | None]


class Network(Grid):
    """Workers in this process; what they send is changed on the way, and arrives in another order."""

    def __init__(self, app: ClientApp, workers: int, cheats: dict[tuple[int, str], Cheat]) -> None:
        self.contexts = {
            100 + number: Context(7, 100 + number, {"partition-id": number}, RecordDict(), {})
            for number in range(workers)
        }
        self._app, self._cheats = app, cheats
        self.asked: list[tuple[str, int]] = []

    def set_run(self, run: Any) -> None: ...

    @property
    def run(self) -> Any:
        return None

    def create_message(self, *arguments: Any, **named: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> list[int]:
        return list(self.contexts)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        replies = []
        for message in messages:
            node, kind = message.metadata.dst_node_id, message.metadata.message_type
            self.asked.append((kind, node - 100))
            cheat = self._cheats.get((node - 100, kind), lambda content: content)
            content = cheat(self._app(message, self.contexts[node]).content)
            if content is not None:  # else it doesn't answer in time
                replies.append(Message(content=content, reply_to=message))
        return replies[::-1]


def client(folder: Path) -> ClientApp:
    """Of workers whose number decides their records."""
    return proving_client(lambda context: task(int(worker_name(context))), folder)


def arrays_changed(change: Callable[[np.ndarray], np.ndarray]) -> Cheat:
    """Change every array of an update."""

    def cheat(content: RecordDict) -> RecordDict:
        record = ArrayRecord({name: Array(change(array.numpy())) for name, array in content["arrays"].items()})
        return RecordDict(dict(content) | {"arrays": record})

    return cheat


def record_changed(name: str, **fields: Any) -> Cheat:
    """Change fields of a record."""
    return lambda content: RecordDict(dict(content) | {name: ConfigRecord(dict(content[name]) | fields)})


CHALLENGE = "query.pol_jax_challenge"


def wrapped(inner: Strategy, grid: Network, rounds: int = 1, **changes: Any) -> tuple[ProvenStrategy, Any]:
    """Run a wrapped strategy."""
    strategy = ProvenStrategy(inner, TRUSTED, replace(PLAN, **changes.pop("plan", {})), **changes)
    return strategy, strategy.start(grid, arrays_of(model(1)), num_rounds=rounds).arrays


def test_only_proven_updates_are_aggregated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two honest workers of nine: the result is that of the two alone, to the bit, whoever answers first."""
    cheats: dict[tuple[int, str], Cheat] = {
        (2, "train"): arrays_changed(lambda array: -array),
        (3, "train"): lambda _content: None,
        (4, "train"): lambda _content: RecordDict({"rubbish": ConfigRecord({"a": 1})}),
        (5, "train"): record_changed("pol_jax.claim", claim=b"x" * 2**22),
        (6, CHALLENGE): lambda _content: None,
        (7, CHALLENGE): record_changed("answer", opening=b"rubbish"),
        (8, CHALLENGE): record_changed("answer", opening=b"x" * 2**24),
    }
    caplog.set_level(logging.INFO, "pol_jax")
    monkeypatch.setattr("secrets.token_hex", lambda _size: "the same in both runs")
    network = Network(client(tmp_path), 9, cheats)
    strategy, got = wrapped(FedAvg(fraction_evaluate=0.0), network)
    reasons = {name: result.reason for name, result in strategy.results[1].items()}
    words = {
        "0": "bit for bit",
        "1": "bit for bit",
        "2": "the final state's leaf /params/b is not that of the model at hand",
        "3": "it did not answer in time",
        "4": "update: has other arrays than the model that was sent out",
        "5": "claim: has 4194304 bytes, more than the limit",
        "6": "it did not answer its challenge",
        "7": "opening: is no opening",
        "8": "opening: has 16777216 bytes, more than the limit",
    }
    assert list(reasons) == list(words)
    for name, word in words.items():
        assert word in reasons[name], (name, reasons[name])
    assert [name for name, result in strategy.results[1].items() if result] == ["0", "1"]
    assert all(result.replayed <= PLAN.share * STEPS for result in strategy.results[1].values())
    challenged = {worker for kind, worker in network.asked if kind == CHALLENGE}
    assert challenged == {0, 1, 2, 6, 7, 8}, "cheap checks come first"
    assert "round 1: worker 3 is left out: it did not answer in time" in caplog.text
    alone = Network(client(tmp_path / "alone"), 2, {})
    _, expected = wrapped(FedAvg(fraction_evaluate=0.0), alone)
    for name, array in expected.items():
        assert got[name].data == array.data


@pytest.mark.parametrize("inner", [FedAdam, Krum, Bulyan, FedTrimmedAvg])
def test_any_strategy_can_be_wrapped(inner: type[Strategy], tmp_path: Path) -> None:
    more: dict[str, Any] = {"num_malicious_nodes": 0} if inner in (Krum, Bulyan) else {}
    strategy, got = wrapped(inner(fraction_evaluate=0.0, **more), Network(client(tmp_path), 3, {}))
    assert all(strategy.results[1][name] for name in ("0", "1", "2"))
    assert list(got) == ["/params/b", "/params/w"]


def metrics_changed(**fields: Any) -> Cheat:
    """Send other metrics, one of which Flower takes for the weight of an update."""
    return lambda content: RecordDict(dict(content) | {"metrics": MetricRecord(fields)})


@pytest.mark.parametrize(
    "cheat",
    [
        metrics_changed(**{"num-examples": 1e30}),
        metrics_changed(**{"num-examples": math.nan}),
        metrics_changed(**{"num-examples": [1, 2]}),
        metrics_changed(other=1),
        lambda content: RecordDict(dict(content) | {"more": MetricRecord({"a": 1})}),
    ],
)
def test_no_worker_gives_its_update_a_weight(cheat: Cheat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A true update with a false weight would be the whole average, or end the federation."""
    monkeypatch.setattr("secrets.token_hex", lambda _size: "the same in both runs")
    averages = [
        wrapped(FedAvg(fraction_evaluate=0.0), Network(client(tmp_path / name), 2, cheats))[1]
        for name, cheats in (("honest", {}), ("cheating", {(1, "train"): cheat}))
    ]
    for name, array in averages[0].items():
        assert averages[1][name].data == array.data


def test_the_weight_is_the_number_of_records_that_the_coordinator_knows(tmp_path: Path) -> None:
    weights: list[Any] = []

    class Weighing(FedAvg):
        def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
            replies = list(replies)
            weights[:] = [dict(reply.content.metric_records["metrics"]) for reply in replies]
            return super().aggregate_train(server_round, replies)

    known, steps = [assignment(worker).data for worker in (0, 1)], 4
    assert known[0].records > steps * BATCH, "else both are one number"
    enrolled = {str(worker): data for worker, data in enumerate(known)}
    for given, weight in ((enrolled, known[0].records), (None, steps * BATCH)):
        inner = Weighing(fraction_evaluate=0.0, weighted_by_key="weight")
        network = Network(client(tmp_path / str(weight)), 2, {})
        wrapped(inner, network, enrolled=given, plan={"steps": steps, "share": 1})
        assert weights == [{"weight": weight}] * 2


def test_who_is_not_enrolled_takes_no_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    enrolled = {str(worker): assignment(worker).data for worker in (0, 2, 3)} | {"1": assignment(0).data}
    cheats = {(3, "query.pol_jax_register"): record_changed("registration", root="no root")}
    network = Network(client(tmp_path), 5, cheats)
    strategy, _ = wrapped(FedAvg(fraction_evaluate=0.0), network, enrolled=enrolled)
    assert list(strategy.results[1]) == ["0", "2"]
    assert "worker 1 is not enrolled with these records" in caplog.text
    assert "registration: is malformed" in caplog.text
    assert "worker 4 is not enrolled" in caplog.text


def test_claims_are_signed_by_enrolled_keys(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2)]
    cheats = {(1, "train"): record_changed("pol_jax.claim", signature=b"rubbish")}
    app = proving_client(lambda context: task(int(worker_name(context))), tmp_path, key=keys[0])
    enrolled = {"0": public_text(keys[0]), "1": public_text(keys[0])}
    strategy, _ = wrapped(FedAvg(fraction_evaluate=0.0), Network(app, 3, cheats), keys=enrolled)
    reasons = {name: result.reason for name, result in strategy.results[1].items()}
    assert "bit for bit" in reasons["0"]
    assert "attestations/claim.dsse.json: " in reasons["1"]
    assert list(reasons) == ["0", "1"]
    assert "worker 2 has no key that is enrolled" in caplog.text


@pytest.mark.parametrize("kind", ["query.pol_jax_register", "train", CHALLENGE])
def test_a_reply_that_is_an_error_is_left_out(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Network):
        def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
            messages = list(messages)
            replies = super().send_and_receive(messages, timeout=timeout)
            failed = [
                Message(Error(0, "it\nfailed"), reply_to=each) for each in messages if each.metadata.dst_node_id == 100
            ]
            kept = [reply for reply in replies if reply.metadata.src_node_id != 100]
            return [*failed, *kept] if messages and messages[0].metadata.message_type == kind else replies

    strategy, _ = wrapped(FedAvg(fraction_evaluate=0.0), Failing(client(tmp_path), 2, {}))
    assert r"reply: an error: it\nfailed" in caplog.text
    assert [name for name, result in strategy.results[1].items() if result] == ["1"]


def test_a_share_without_room_for_a_challenge_is_refused() -> None:
    with pytest.raises(UsageError, match="expected at least 3 steps"):
        ProvenStrategy(FedAvg(), TRUSTED, replace(PLAN, share=0.1))
