"""Aggregation without proofs: Flower's own strategies, given the updates of one round (extra ``flower``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Bulyan, FedAvg, FedTrimmedAvg, Krum, Strategy
from flwr.supercore.task_identity import TaskIdentity

from pol_jax.integrations.flower.records import arrays_of, in_dtypes_of, tree_of
from pol_jax.protocol.trees import PyTree

Aggregate: TypeAlias = Callable[[Sequence[PyTree], PyTree], PyTree]
"""Returns the next global model, given the updates of all workers and the model that they started from."""


def aggregations(byzantine: int, workers: int) -> Mapping[str, Aggregate]:
    """Return the strategies that are compared, each told how many workers are Byzantine, if it can be told.

    Krum and Bulyan hold for fewer than a half and a quarter of Byzantine workers; they are told no more than that.
    """
    quiet: Any = {"fraction_evaluate": 0.0}
    few, fewer = min(byzantine, max(0, (workers - 3) // 2)), min(byzantine, max(0, (workers - 3) // 4))
    return {
        "average": _with(FedAvg(**quiet)),
        "Krum": _with(Krum(num_malicious_nodes=few, **quiet)),
        "Bulyan": _with(Bulyan(num_malicious_nodes=fewer, **quiet)),
        "trimmed mean": _with(FedTrimmedAvg(beta=0.2, **quiet)),
    }


_NODE: Final = 1


def _with(strategy: Strategy) -> Aggregate:
    def aggregate(updates: Sequence[PyTree], model: PyTree) -> PyTree:
        for name in ("task_id", "run_id", "node_id"):
            setattr(TaskIdentity, name, _NODE)
        like = arrays_of(model)
        strategy.current_arrays = like  # as it is configured with, where that matters
        question = Message(content=RecordDict({"config": ConfigRecord()}), dst_node_id=_NODE, message_type="train")
        replies = [
            Message(
                content=RecordDict({"arrays": arrays_of(update), "metrics": MetricRecord({"num-examples": 1})}),
                reply_to=question,
            )
            for update in updates
        ]
        arrays, _ = strategy.aggregate_train(1, replies)
        return model if arrays is None else tree_of(in_dtypes_of(like, arrays))

    return aggregate
