"""A registry says who takes part in a federation, and with which records: it is fixed when a worker is first seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from flwr.app import Message, RecordDict

from pol_jax.errors import PolError, ProofError, printable
from pol_jax.integrations.flower.records import REGISTER, content_of, data_in
from pol_jax.workers.assignment import Data

_LOG = logging.getLogger("pol_jax")
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Member:
    """A member is a worker that takes part.

    Attributes:
        name: of the worker.
        data: its records.
        key: its public key, which must sign its claims; None if none was asked for.
    """

    name: str
    data: Data
    key: str | None = None


class Registry:
    """A registry holds the members of a federation.

    Attributes:
        members: by their nodes.
    """

    def __init__(self, enrolled: Mapping[str, Data] | None, keys: Mapping[str, str] | None = None) -> None:
        """Let workers in that are enrolled with their records, or whose keys are known; None to ask for neither."""
        self._enrolled, self._keys = enrolled, keys
        self.members: dict[int, Member] = {}

    @property
    def is_enrolled(self) -> bool:
        """Return whether the coordinator knew the records of all workers beforehand."""
        return self._enrolled is not None

    def register(
        self, nodes: Iterable[int], ask: Callable[[str, Mapping[int, RecordDict]], Mapping[int, Message]]
    ) -> None:
        """Ask nodes that are new what they register; what is registered stays."""
        # Only once: a worker that may register again could choose its records when it knows the model.
        new = {node: RecordDict() for node in nodes if node not in self.members}
        # In order, so that of two nodes with one name the choice doesn't depend on who answered first.
        for node, reply in sorted(ask(REGISTER, new).items()):
            try:
                self.members[node] = self._member(reply)
            except PolError as error:
                _LOG.warning("node %d does not take part: %s", node, error)

    def _member(self, reply: Message) -> Member:
        record = content_of(reply).get("registration")
        data = data_in(record)
        name = record.get("worker")
        if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= _LONGEST_NAME:
            raise ProofError("registration", f"the name {printable(repr(name), 80)} is not printable, or too long")
        if any(member.name == name for member in self.members.values()):
            raise ProofError("registration", f"worker {name} is there already")
        if self._enrolled is not None and self._enrolled.get(name) != data:
            raise ProofError("registration", f"worker {name} is not enrolled with these records")
        if self._keys is not None and name not in self._keys:
            raise ProofError("registration", f"worker {name} has no key that is enrolled")
        return Member(name, data, None if self._keys is None else self._keys[name])
