"""Records over a pipe: a source whose records are those of the other side, and the other side's answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Integer

from pol_jax.errors import DataError
from pol_jax.protocol.trees import DTYPES, PyTree, RecordSpec
from pol_jax.sandbox.messages import ReadRecords, Records
from pol_jax.sandbox.pipe import Pipe
from pol_jax.training.pytrees import nested
from pol_jax.training.records import take
from pol_jax.training.task import Source

AnswerRecords: TypeAlias = Callable[[list[int]], Records]
"""This function answers a question for the records at these places of a source."""


@dataclass(frozen=True)
class RemoteRecords:
    """This source has the records of the other side.

    Attributes:
        pipe: to the other side.
        spec: of a record.
        size: how many records the other side has.
    """

    pipe: Pipe
    spec: RecordSpec
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> PyTree:
        return jax.tree.map(lambda leaf: leaf[0], self.records_at(np.array([index])))

    def records_at(self, indices: Integer[np.ndarray, " batch"]) -> PyTree:
        """Return the records at ``indices`` as one batch.

        Raises:
            DataError: the other side can't read them.
        """
        answer = self.pipe.ask(ReadRecords(indices.tolist()), Records)
        if answer.error is not None:
            raise DataError(answer.error)
        leaves: list[Any] = [
            np.frombuffer(content, DTYPES[leaf.dtype]).reshape(len(indices), *leaf.shape)
            for content, leaf in zip(answer.leaves, self.spec, strict=True)
        ]
        return nested(self.spec, leaves)


def answers_from(source: Source, spec: RecordSpec) -> AnswerRecords:
    """Return a function that answers with records of a source."""

    def answer(indices: list[int]) -> Records:
        try:
            return Records([leaf.tobytes() for leaf in take(source, spec, np.array(indices, np.int64))], None)
        except DataError as error:
            return Records([], str(error))

    return answer
