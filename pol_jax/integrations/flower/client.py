"""A worker in Flower: it registers its records, trains what it is assigned with a proof, and answers challenges."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod

from pol_jax.attesting import folder as attestations
from pol_jax.errors import UsageError
from pol_jax.integrations.flower.records import (
    ARRAYS,
    ASSIGNMENT,
    CHALLENGE,
    CLAIM,
    METRICS,
    REGISTER,
    SIGNATURE,
    WEIGHT,
    arrays_of,
    read_assignment,
    tree_of,
)
from pol_jax.proving.opener import open_steps
from pol_jax.storage.proof import open_proof
from pol_jax.training.task import Task
from pol_jax.workers.assignment import register
from pol_jax.workers.training import train_update

_PROOF = "pol_jax.proof"


def proving_client(
    task: Callable[[Context], Task],
    folder: Path | str,
    mods: Sequence[Mod] = (),
    *,
    key: Ed25519PrivateKey | None = None,
) -> ClientApp:
    """Return a Flower client that proves its training; it answers the messages of `ProvenStrategy`.

    Args:
        task: returns the task with this worker's own records; the context's ``node_config`` says which worker it is.
        folder: where proofs lie until they are challenged; each worker has a folder of its own in it, and keeps the
            latest proof.
        mods: Flower's modifications of a client.
        key: the worker's private key, which signs its claims, if the coordinator asks for that.
    """
    app = ClientApp(mods=list(mods))
    root = Path(folder)

    @app.query(REGISTER.partition(".")[2])  # Flower itself puts the kind, ``query.``, before the name
    def registration(message: Message, context: Context) -> Message:
        data = register(task(context).source)
        record = ConfigRecord(
            {"worker": worker_name(context), "root": data.root, "records": data.records, "salted": data.salted}
        )
        return Message(content=RecordDict({"registration": record}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        own, assignment = task(context), read_assignment(message.content[ASSIGNMENT])
        out = root / worker_name(context)
        shutil.rmtree(out, ignore_errors=True)  # the proof of the round before
        proof, update = train_update(own, tree_of(message.content[ARRAYS]), assignment, out, key=key)
        context.state[_PROOF] = ConfigRecord({"path": str(out.absolute())})  # all that another process of the node gets
        documents = {name: (proof.root / f"{name}.json").read_bytes() for name in ("claim", "commitment")}
        if assignment.prover is not None:
            documents[SIGNATURE] = attestations.attestation_path(proof.root, attestations.CLAIM).read_bytes()
        content = RecordDict(
            {
                ARRAYS: arrays_of(update),
                METRICS: MetricRecord({WEIGHT: len(own.source)}),
                CLAIM: ConfigRecord(documents),
            }
        )
        return Message(content=content, reply_to=message)

    @app.query(CHALLENGE.partition(".")[2])
    def challenge(message: Message, context: Context) -> Message:
        steps = [int(step) for step in message.content["challenge"]["steps"]]
        proof = open_proof(Path(context.state[_PROOF]["path"]))
        opening = open_steps(proof, task(context).source, steps).encode()
        return Message(content=RecordDict({"answer": ConfigRecord({"opening": opening})}), reply_to=message)

    return app


def worker_name(context: Context) -> str:
    """Return the name of a worker: ``worker`` in its node's configuration, or else the number of its partition.

    Raises:
        UsageError: the configuration has neither.
    """
    name = context.node_config.get("worker", context.node_config.get("partition-id"))
    if name is None:
        raise UsageError("node_config: expected worker='a name', or partition-id, so that the coordinator knows which")
    return str(name)
