"""Federated learning of handwritten digits with Flower, where workers are not trusted.

    pip install 'pol_jax[flower]'
    python federated_digits.py            # simulation on this machine; README.md says how to deploy it

Three workers have different classes of digits. The last one is lazy: it sends noise, with the proof of an honest
training. It is left out in every round, and the reason is printed.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from pol_jax import Arrays, Task, load_task
from pol_jax.integrations.flower.client import proving_client, worker_name
from pol_jax.integrations.flower.plan import Plan
from pol_jax.integrations.flower.records import arrays_of, tree_of
from pol_jax.integrations.flower.strategy import ProvenStrategy

WORKERS, ROUNDS, STEPS = 3, 2, 20
PLAN = Plan(steps=STEPS, batch_size=32, interval=5, share=0.25)


# The task that everyone knows. It is loaded here, and not by the first thread that needs it: while tensorflow-datasets
# is imported, it changes how all modules are, and Flower imports Ray in another thread.
DIGITS = load_task("digits", steps=STEPS)


@cache
def shard(worker: int) -> Task:
    """Return the task with a worker's own records: every third class, beginning with its number."""
    records = DIGITS.source.records_at(np.arange(len(DIGITS.source)))
    own = records["label"] % WORKERS == worker
    return replace(DIGITS, source=Arrays({name: leaf[own] for name, leaf in records.items()}))


def send_noise(message: Message, context: Context, train: ClientAppCallable) -> Message:
    """Replace the update of the last worker by noise."""
    reply = train(message, context)
    if message.metadata.message_type == "train" and worker_name(context) == str(WORKERS - 1):
        noise = np.random.default_rng(0)
        arrays = {name: array.numpy() for name, array in reply.content["arrays"].items()}
        fake = {name: Array(noise.normal(size=a.shape).astype(a.dtype)) for name, a in arrays.items()}
        reply.content = RecordDict(dict(reply.content) | {"arrays": ArrayRecord(fake)})
    return reply


client = proving_client(
    lambda context: shard(int(worker_name(context))), Path(tempfile.gettempdir()) / "federated-digits", [send_noise]
)
server = ServerApp()


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Train, and print who was left out, and how good the model is."""
    state = DIGITS.init(jax.random.key(0))
    average = FedAvg(fraction_evaluate=0.0, min_train_nodes=WORKERS, min_available_nodes=WORKERS)
    strategy = ProvenStrategy(average, DIGITS, PLAN)
    result = strategy.start(grid, arrays_of({"params": state.params}), num_rounds=ROUNDS)
    for number, workers in strategy.results.items():
        for name, found in workers.items():
            cost = f"{found.replayed} of {found.steps} steps replayed"
            print(f"round {number}, worker {name}: {found.verdict} ({cost}): {found.reason}")
    evaluate = DIGITS.evaluate
    if evaluate is not None and result.arrays:
        final = jax.tree.map(np.asarray, tree_of(result.arrays)["params"])
        print(f"test accuracy {evaluate(state._replace(params=final))['test accuracy']:.3f}")


if __name__ == "__main__":
    import federated_digits  # under its own name, by which the workers' processes find it
    from flwr.simulation import run_simulation

    run_simulation(federated_digits.server, federated_digits.client, num_supernodes=WORKERS)
