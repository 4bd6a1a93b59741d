"""Flower's records stand for a model, an assignment, a claim or an opening.

What comes from a worker is read strictly: an array must be the very bytes that would be written for one of its dtype
and shape, so that no header can make this process allocate memory.
"""

from __future__ import annotations

from dataclasses import asdict
from io import BytesIO
from typing import Any, Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from pol_jax.errors import ProofError, printable
from pol_jax.protocol.trees import PyTree, split_pointer
from pol_jax.training.pytrees import flatten_with_paths
from pol_jax.workers.assignment import Assignment, Data

ARRAYS: Final = "arrays"
ASSIGNMENT: Final = "pol_jax.assignment"
CLAIM: Final = "pol_jax.claim"
METRICS: Final = "metrics"
WEIGHT: Final = "num-examples"
SIGNATURE: Final = "signature"
REGISTER: Final = "query.pol_jax_register"
CHALLENGE: Final = "query.pol_jax_challenge"
"""The names of records and messages between a strategy and its workers."""


def arrays_of(model: PyTree) -> ArrayRecord:
    """Return a model as Flower sends it: arrays by their paths. Law: `tree_of` gives the model back as nested dicts."""
    pairs = flatten_with_paths(model)
    # `ascontiguousarray` makes an axis where there is none, which `reshape` takes away.
    return ArrayRecord({path: Array(np.ascontiguousarray(leaf).reshape(np.shape(leaf))) for path, leaf in pairs})


def tree_of(record: ArrayRecord) -> PyTree:
    """Return the arrays of a record that this process or its coordinator made, as nested dicts."""
    return _nested({name: array.numpy() for name, array in record.items()})


def read_update(record: Any, like: ArrayRecord) -> PyTree:
    """Return the arrays of a worker, which must be like those that it was sent.

    Raises:
        ProofError: they are not.
    """
    if not isinstance(record, ArrayRecord) or list(record) != list(like):
        raise ProofError("update", "has other arrays than the model that was sent out")
    return _nested({name: _read_array(name, record[name], like[name]) for name in like})


def in_dtypes_of(like: ArrayRecord, record: ArrayRecord) -> ArrayRecord:
    """Return arrays in the dtypes of those that are like them: strategies such as FedAdam return doubles."""
    return ArrayRecord({name: Array(array.numpy().astype(like[name].numpy().dtype)) for name, array in record.items()})


def assignment_record(assignment: Assignment) -> ConfigRecord:
    """Return an assignment as Flower sends it. Law: `read_assignment` gives it back."""
    fields = asdict(assignment) | {"take": list(assignment.take)}
    # A record of Flower's holds no None.
    fields |= {name: getattr(assignment, name) or "" for name in ("prover", "arithmetic")}
    data = fields.pop("data")
    return ConfigRecord(fields | {f"data.{name}": value for name, value in data.items()})


def read_assignment(record: ConfigRecord) -> Assignment:
    """Return the assignment that the coordinator sent."""
    fields: dict[str, Any] = dict(record)
    data = Data(**{name: fields.pop(f"data.{name}") for name in ("root", "records", "salted")})
    given = {name: fields[name] or None for name in ("prover", "arithmetic")}
    return Assignment(**fields | given | {"take": tuple(fields["take"]), "data": data})


def content_of(reply: Message) -> RecordDict:
    """Return what a worker replied.

    Raises:
        ProofError: it replied with an error.
    """
    if not reply.has_content():
        raise ProofError("reply", f"an error: {printable(str(reply.error.reason), 200)}")
    return reply.content


def bytes_in(record: Any, name: str, most: int) -> bytes:
    """Return bytes that a worker sent.

    Raises:
        ProofError: there are none, or more than ``most``.
    """
    content = record.get(name) if isinstance(record, ConfigRecord) else None
    if not isinstance(content, bytes):
        raise ProofError(name, "is missing")
    if len(content) > most:
        raise ProofError(name, f"has {len(content)} bytes, more than the limit of {most}")
    return content


def data_in(record: Any) -> Data:
    """Return what a worker registers.

    Raises:
        ProofError: it is nothing of the kind.
    """
    fields = dict(record) if isinstance(record, ConfigRecord) else {}
    root, records, salted = (fields.get(name) for name in ("root", "records", "salted"))
    right = isinstance(root, str) and len(root) == 64 and set(root) <= set("0123456789abcdef")
    if not right or type(records) is not int or not 1 <= records < 2**48 or type(salted) is not bool:
        kinds = ", ".join(f"{name} {type(fields.get(name)).__name__}" for name in ("root", "records", "salted"))
        raise ProofError("registration", f"is malformed: got {kinds}; expected a digest, a number and a truth value")
    return Data(str(root), records, salted)


def _read_array(name: str, array: Array, like: Array) -> np.ndarray:
    # NumPy itself would read a header of the worker's, and allocate whatever shape that claims.
    wanted = like.numpy()
    buffer = BytesIO()
    np.save(buffer, np.zeros_like(wanted, order="C"))
    header = buffer.getvalue()[: buffer.tell() - wanted.nbytes]
    if len(array.data) != len(header) + wanted.nbytes or not array.data.startswith(header):
        raise ProofError("update", f"array {printable(name, 80)} is no {wanted.dtype}{list(wanted.shape)}")
    return np.frombuffer(array.data, wanted.dtype, offset=len(header)).reshape(wanted.shape)


def _nested(arrays: dict[str, np.ndarray]) -> PyTree:
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *parents, last = split_pointer(name) or [""]
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = array
    return tree
