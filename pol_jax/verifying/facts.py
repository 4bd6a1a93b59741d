"""Facts are what executions gave, without any judgement: shards of a verification find them, and one place judges.

A verdict can't be merged from verdicts: whether a difference rejects depends on what all other replays gave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.errors import UsageError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.program.machine import current_environment
from pol_jax.progress import Progress
from pol_jax.protocol.environment import Environment, environment_differences
from pol_jax.protocol.policies import Policy
from pol_jax.protocol.spans import Span
from pol_jax.reports.comparison import Compared
from pol_jax.training.task import Source
from pol_jax.verifying.checks import Checked
from pol_jax.verifying.numeric_comparison import CommittedSteps
from pol_jax.verifying.replay import Replayer

FORMAT: Final = "pol-jax facts 1"
Count = Annotated[int, msgspec.Meta(ge=1, le=2**20)]


class Share(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"shards": "of"}):
    """A share is the part of a verification's executions that one shard has.

    Attributes:
        number: of the shard, from 1. The first one also executes the initial state and the self-test.
        shards: how many there are; ``of`` in the document.
    """

    number: Count
    shards: Count

    def __post_init__(self) -> None:
        """Refuse a shard that is none.

        Raises:
            UsageError: its number is not one from 1 to the number of shards.
        """
        if not 1 <= self.number <= self.shards:
            raise UsageError(f"shard {self.number}/{self.shards}: expected I/N with I from 1 to N")


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts are what one shard found, or all of them together.

    Attributes:
        format: of this document.
        claim: hex digest of the claim of the proof; it fixes every row and state that was read.
        policy: the verifier's.
        nonce: in hex.
        shares: of the shards that found this.
        environment: where they executed.
        initial_exact: whether the initial state is reproduced bit for bit; None if no shard has looked.
        replays: the results of replays, in the order in which they were made; what differs was replayed twice.
        states: the results of replays of states alone, for spans that end bit for bit within the tolerance.
        compared: comparisons within a tolerance, that of the initial state among them.
    """

    format: Literal["pol-jax facts 1"]
    claim: str
    policy: Policy
    nonce: str
    shares: tuple[Share, ...]
    environment: Environment
    initial_exact: bool | None
    replays: tuple[ReplayResult, ...]
    states: tuple[ReplayResult, ...]
    compared: tuple[Compared, ...]

    def to_json(self) -> bytes:
        """Return the facts as indented JSON. Law: `parse_facts` gives them back."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def parse_facts(content: bytes, where: str) -> Facts:
    """Return the facts in a document.

    Raises:
        UsageError: it has none.
    """
    try:
        return msgspec.json.decode(content, type=Facts)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{where}: has no facts of a shard: {error}") from None


def merge_facts(shards: Sequence[Facts]) -> Facts:
    """Return what all shards found together.

    Raises:
        UsageError: one is missing, there twice, or about something else than the first.
    """
    if not shards:
        raise UsageError("facts: none are given; expected those that every shard found")
    first = shards[0]
    for each in shards:
        for name in ("claim", "policy", "nonce"):
            if getattr(each, name) != getattr(first, name):
                raise UsageError(f"facts: shards {_name(each)} and {_name(first)} have different values of {name}")
        # Facts of two backends can not be judged together: what differs on one says nothing about the other.
        differences = _differences(first.environment, each.environment)
        if differences:
            raise UsageError(f"facts: shards {_name(first)} and {_name(each)} have other backends ({differences[0]})")
    shares = tuple(share for each in shards for share in each.shares)
    number_of_shards = shares[0].shards
    # A missing shard would leave segments out of the coverage, and a second one could contradict the first.
    if sorted((share.shards, share.number) for share in shares) != [
        (number_of_shards, number) for number in range(1, number_of_shards + 1)
    ]:
        listed = ", ".join(f"{share.number}/{share.shards}" for share in shares)
        raise UsageError(f"facts: expected each shard of {number_of_shards} once, got {listed}")
    looked = [each.initial_exact for each in shards if each.initial_exact is not None]
    return msgspec.structs.replace(
        first,
        shares=shares,
        initial_exact=looked[0] if looked else None,
        replays=tuple(result for each in shards for result in each.replays),
        states=tuple(result for each in shards for result in each.states),
        compared=tuple(result for each in shards for result in each.compared),
    )


class FactsReplayer(Replayer):
    """This replayer tells what shards found in place of executing it; what none of them has found, it executes.

    That is little: a shard doesn't know the others' results, and may leave out a comparison that is needed after all.
    """

    def __init__(
        self, checked: Checked, source: Source, secret: bytes | None, progress: Progress, *, facts: Facts
    ) -> None:
        """Tell ``facts`` about ``checked``; the other arguments are those of `Replayer`.

        Raises:
            UsageError: the facts are about another proof.
        """
        super().__init__(checked, source, secret, progress)
        if checked.proof.claim.digest().hex() != facts.claim:
            raise UsageError(f"facts: are about the claim {facts.claim[:16]}..., which is not that of this proof")
        # What no shard has found is executed here, and one verdict can't rest on two backends.
        differences = _differences(facts.environment, current_environment())
        if differences:
            raise UsageError(f"facts: the shards have another backend than this machine ({differences[0]})")
        self._facts = facts
        self._replays = defaultdict[Span, list[ReplayResult]](list)
        for result in facts.replays:
            self._replays[result.span].append(result)
        self._states = {result.span: result for result in facts.states}
        self._compared = {each.span: each for each in facts.compared}

    def initial_is_exact(self) -> bool:
        """Return what the first shard found."""
        exact = self._facts.initial_exact
        return super().initial_is_exact() if exact is None else exact

    def self_test(self, span: Span) -> ReplayResult:
        """Tell its result."""
        (result,) = self.replay([span])
        return result

    def replay(self, spans: Iterable[Span]) -> Iterator[ReplayResult]:
        """Tell the results; the second time that a span is asked for, that of its second replay."""
        for span in spans:
            found = self._replays[span]
            # In order: the first result is that of the first replay, and the next one that of its repetition.
            yield found.pop(0) if found else next(super().replay([span]))

    def replay_states(self, span: Span) -> ReplayResult:
        """Tell the result of a replay of states alone."""
        return self._states.get(span) or super().replay_states(span)

    def compare_initial(self, material: CommittedSteps) -> Compared:
        """Tell how far the initial state is from what the shards' machine gives."""
        return self._compared.get(Span(-1, 0)) or super().compare_initial(material)

    def compare_spans(
        self, material: CommittedSteps, spans: Sequence[Span], progress: Progress, equal: Sequence[Span] = ()
    ) -> Iterator[Compared]:
        """Tell how far committed states are from what the shards' machine gives."""
        # As in a comparison in one process: spans with equal bits are looked at only where all others pass (14.1).
        passed = True
        for span in spans:
            found = self._compared.get(span) or next(super().compare_spans(material, [span], progress))
            passed = passed and found.passed
            yield found
        unknown = [span for span in equal if span not in self._compared]
        executed = {
            each.span: each for each in super().compare_spans(material, [], progress, unknown if passed else [])
        }
        for span in equal if passed else []:
            yield self._compared.get(span) or executed[span]


def _differences(a: Environment, b: Environment) -> list[str]:
    """Return what differs between two backends; the number of devices too, which decides on what a mesh is replayed."""
    devices = f"device_count: {a.device_count} against {b.device_count}"
    return [*environment_differences(a, b), *([devices] if a.device_count != b.device_count else [])]


def _name(facts: Facts) -> str:
    return "/".join(map(str, msgspec.structs.astuple(facts.shares[0]))) if facts.shares else "none"
