"""This strategy for Flower hands only proven updates to the strategy that it wraps.

In each round: what is cheap is checked of every reply; those that pass are challenged, with a nonce drawn after their
claims; the openings are verified; and what is accepted goes on, sorted by the workers' names, so that a sum of floating
numbers does not depend on who answered first. Nothing else of a reply goes on: an update's weight is the coordinator's
own number, for a worker could give a true update any weight.
"""

from __future__ import annotations

import logging
import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from pol_jax.attesting import folder as attestations
from pol_jax.errors import PolError, ProofError
from pol_jax.integrations.flower.plan import Plan
from pol_jax.integrations.flower.records import (
    ARRAYS,
    ASSIGNMENT,
    CHALLENGE,
    CLAIM,
    METRICS,
    SIGNATURE,
    WEIGHT,
    arrays_of,
    assignment_record,
    bytes_in,
    content_of,
    in_dtypes_of,
    read_update,
    tree_of,
)
from pol_jax.integrations.flower.registry import Registry
from pol_jax.protocol.challenge import challenged_steps
from pol_jax.protocol.policies import RandomSteps
from pol_jax.protocol.trees import PyTree
from pol_jax.reports.outcomes import Verdict
from pol_jax.training.task import Task
from pol_jax.workers.assignment import Assignment, Data
from pol_jax.workers.documents import expect
from pol_jax.workers.limits import limits_of
from pol_jax.workers.share import steps_within
from pol_jax.workers.trusted_task import TrustedTask
from pol_jax.workers.verify_update import UpdateResult, check_claim, verify_update

_LOG = logging.getLogger("pol_jax")


@dataclass
class _Worker:
    """A worker is what it is asked for in this round, and what it has answered."""

    name: str
    assignment: Assignment
    reply: Message | None = None
    update: PyTree = None
    documents: Path | None = None
    nonce: bytes = b""
    challenged: Sequence[int] = ()


@dataclass
class _Round:
    """A round is under way from its assignments to what came of each of them."""

    previous: ArrayRecord
    workers: dict[int, _Worker] = field(default_factory=dict)
    results: dict[str, UpdateResult] = field(default_factory=dict)


class ProvenStrategy(Strategy):
    """A proven strategy wraps any strategy of Flower's, which aggregates what is proven.

    Example:
        >>> strategy = ProvenStrategy(FedAvg(fraction_evaluate=0.0), task, Plan(steps=100, batch_size=64, interval=10))
        >>> strategy.start(grid=grid, initial_arrays=arrays_of(model), num_rounds=10)
        >>> strategy.results[1]["3"].reason
        'stage 6, state digests: opening: the final state's leaf /params/w is not that of the model at hand'

    Attributes:
        results: of each round, by the names of the workers.
    """

    def __init__(
        self,
        inner: Strategy,
        trusted: Task | TrustedTask,
        plan: Plan,
        *,
        enrolled: Mapping[str, Data] | None = None,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        """Wrap a strategy.

        Args:
            inner: aggregates the accepted updates, and evaluates.
            trusted: the task that workers are to train.
            plan: what they are asked for.
            enrolled: what each worker registered beforehand, by its name; nobody else takes part. None to take what
                a worker registers when it is first seen; it can't be changed afterwards.
            keys: the public key of each worker, by its name, which must sign its claims; nobody else takes part. None
                to ask for no signatures: then Flower's authentication alone says who a worker is.
        """
        self.inner, self._plan = inner, plan
        self._trusted = trusted if isinstance(trusted, TrustedTask) else TrustedTask(trusted)
        self._policy: RandomSteps = steps_within(plan.share, plan.steps, plan.fraction)
        self._registry = Registry(enrolled, keys)
        self._seen: set[str] = set()  # claims of all rounds, of which none is taken twice
        self._round: _Round | None = None
        self._grid: Grid | None = None
        self.results: dict[int, dict[str, UpdateResult]] = {}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send each worker the model, and what it is assigned."""
        messages = list(self.inner.configure_train(server_round, arrays, config, grid))
        self._grid, self._round = grid, _Round(arrays)
        self._registry.register([message.metadata.dst_node_id for message in messages], self._ask)
        # A seed that a worker could foresee would let it train beforehand.
        nonce, assigned = secrets.token_hex(8), []
        for message in messages:
            node = message.metadata.dst_node_id
            if node not in self._registry.members:
                continue
            known = self._registry.members[node]
            seed = f"round {server_round} of {nonce} worker {known.name}"
            assignment = self._plan.assignment(seed, known.data, known.key)
            self._round.workers[node] = _Worker(known.name, assignment)
            content = RecordDict(dict(message.content) | {ASSIGNMENT: assignment_record(assignment)})
            kind = message.metadata.message_type
            assigned.append(Message(content=content, dst_node_id=node, message_type=kind))
        return assigned

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Verify the replies, and hand those that are accepted to the wrapped strategy."""
        assert self._round is not None  # noqa: S101  # a round is configured before it is aggregated
        with tempfile.TemporaryDirectory(prefix="pol-round-") as folder:
            passed = self._check_replies(self._round, replies, Path(folder))
            accepted = self._challenge(self._round, passed, Path(folder))
        for worker in self._round.workers.values():
            missing = UpdateResult(Verdict.REJECTED, "it did not answer in time", self._plan.steps)
            result = self._round.results.setdefault(worker.name, missing)
            if not result:
                _LOG.warning("round %d: worker %s is left out: %s", server_round, worker.name, result.reason)
        self.results[server_round] = dict(sorted(self._round.results.items(), key=lambda item: _order(item[0])))
        replies = [worker.reply for worker in accepted if worker.reply]
        arrays, metrics = self.inner.aggregate_train(server_round, replies)
        # The next round's commitments take leaves over with the dtypes that the state has (section 2.1).
        return None if arrays is None else in_dtypes_of(self._round.previous, arrays), metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Evaluate as the wrapped strategy does."""
        return self.inner.configure_evaluate(server_round, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Aggregate evaluations as the wrapped strategy does; nothing proves them."""
        return self.inner.aggregate_evaluate(server_round, replies)

    def summary(self) -> None:
        """Log what is checked, and the wrapped strategy's summary."""
        _LOG.info(
            "proven updates only: of %d steps of each worker, at most %g%% are replayed; if %g%% of them were false, "
            "one would be met with probability %.3f",
            self._plan.steps,
            100 * self._plan.share,
            100 * self._plan.fraction,
            self._policy.confidence,
        )
        self.inner.summary()

    def _check_replies(self, round: _Round, replies: Iterable[Message], folder: Path) -> dict[int, _Worker]:
        """Return the workers whose replies are what was asked for, as far as claim and arrays tell, by their nodes."""
        passed = {}
        for reply in replies:
            node = reply.metadata.src_node_id
            worker = round.workers.get(node)
            # Nobody asked this node, or it has answered: its first reply counts.
            if worker is None or worker.reply is not None:
                continue
            worker.reply = reply
            try:
                worker.documents = folder / str(node)
                self._check_reply(round, worker, content_of(reply))
            except PolError as error:
                round.results[worker.name] = UpdateResult(Verdict.REJECTED, str(error), self._plan.steps)
            else:
                passed[node] = worker
        return passed

    def _check_reply(self, round: _Round, worker: _Worker, content: RecordDict) -> None:
        assert worker.documents is not None  # noqa: S101  # it has replied
        expected = expect(self._trusted, worker.assignment, tree_of(round.previous))
        worker.update = read_update(content.get(ARRAYS), round.previous)
        worker.documents.mkdir()
        for name in ("claim", "commitment"):
            document = bytes_in(content.get(CLAIM), name, limits_of(expected).document_bytes)
            (worker.documents / f"{name}.json").write_bytes(document)
        if worker.assignment.prover is not None:
            envelope = bytes_in(content.get(CLAIM), SIGNATURE, 2 * limits_of(expected).document_bytes)
            attestations.attestation_path(worker.documents, attestations.CLAIM).parent.mkdir()
            attestations.attestation_path(worker.documents, attestations.CLAIM).write_bytes(envelope)
        claim, _ = check_claim(worker.documents, worker.update, expected, self._seen)
        self._seen.add(claim.digest().hex())
        worker.nonce = secrets.token_bytes(16)  # drawn now: the claim is fixed
        worker.challenged = challenged_steps(self._policy, claim.steps, claim.digest(), worker.nonce)

    def _challenge(self, round: _Round, workers: Mapping[int, _Worker], folder: Path) -> list[_Worker]:
        """Challenge workers, verify their openings, and return those that are accepted, in the order of their names."""
        questions = {
            node: RecordDict({"challenge": ConfigRecord({"steps": list(worker.challenged)})})
            for node, worker in workers.items()
        }
        answers, accepted = self._ask(CHALLENGE, questions), []
        for node, worker in sorted(workers.items(), key=lambda pair: _order(pair[1].name)):
            result = self._judge(round, worker, answers.get(node), folder / f"{node}.opening")
            round.results[worker.name] = result
            if result and worker.reply is not None:
                worker.reply.content = self._proven_content(worker)
                accepted.append(worker)
        return accepted

    def _proven_content(self, worker: _Worker) -> RecordDict:
        """Return what is handed on of a reply: the update, and its weight. What else a worker says is not proven."""
        data, assignment = worker.assignment.data, worker.assignment
        most = assignment.steps * assignment.batch_size  # anyone may register many records that are all alike
        records = data.records if self._registry.is_enrolled else min(data.records, most)
        weight = MetricRecord({_weight_key(self.inner): records})
        return RecordDict({ARRAYS: arrays_of(worker.update), METRICS: weight})

    def _judge(self, round: _Round, worker: _Worker, answer: Message | None, opening: Path) -> UpdateResult:
        assert worker.documents is not None  # noqa: S101  # it has replied
        if answer is None:
            return UpdateResult(Verdict.REJECTED, "it did not answer its challenge in time", self._plan.steps)
        expected = expect(self._trusted, worker.assignment, tree_of(round.previous))
        try:
            most = limits_of(expected).opening_bytes
            opening.write_bytes(bytes_in(content_of(answer).get("answer"), "opening", most))
        except ProofError as error:
            return UpdateResult(Verdict.REJECTED, str(error), self._plan.steps)
        return verify_update(
            tree_of(round.previous),
            worker.update,
            (worker.documents, opening),
            worker.assignment,
            trusted=self._trusted,
            policy=self._policy,
            nonce=worker.nonce,
            bounds=self._plan.bounds,
        )

    def _ask(self, kind: str, questions: Mapping[int, RecordDict]) -> dict[int, Message]:
        """Ask nodes, and return what arrives in time; the first answer of each node counts."""
        assert self._grid is not None  # noqa: S101  # nothing is asked before a round is configured
        if not questions:
            return {}
        messages = [
            Message(content=content, dst_node_id=node, message_type=kind) for node, content in questions.items()
        ]
        answers: dict[int, Message] = {}
        for reply in self._grid.send_and_receive(messages, timeout=self._plan.answer_seconds):
            node = reply.metadata.src_node_id
            if node in questions:
                answers.setdefault(node, reply)
        return answers


def _weight_key(strategy: Strategy) -> str:
    """Return the name of the metric by which a strategy, or the one that it wraps, weighs updates."""
    wrapped = getattr(strategy, "strategy", None)
    found = getattr(strategy, "weighted_by_key", None)
    return found if isinstance(found, str) else _weight_key(wrapped) if isinstance(wrapped, Strategy) else WEIGHT


def _order(name: str) -> tuple[int, str]:
    """Return the place of a worker: shorter names first, so that numbers are in the order of their size."""
    return len(name), name
