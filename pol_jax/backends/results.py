"""The results of a comparison on one machine are one JSON file, which can be joined with those of other machines.

What is read may be anyone's: sizes are bounded, and every field is checked. Numbers that are not finite are null.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.backends.description import Backend
from pol_jax.backends.runner import BackendEnvironment, BoundedText, Seconds, Status
from pol_jax.errors import UsageError, printable
from pol_jax.files import storing, write_whole
from pol_jax.protocol.documents import HexDigest

FORMAT: Final = "pol-jax-backends/1"

_MOST_BYTES: Final = 2**28

Step = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
MeasuredDistance = Annotated[float, msgspec.Meta(ge=0)] | None


class Error(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An error says how far one state, or one leaf of it, is from the committed one.

    Attributes:
        leaf: JSON pointer; None for the whole state.
        equal: whether all bits are.
        l1: distance, as in the protocol's section 12.2, over the floating-point leaves; None where there is none.
        l2: likewise.
        linf: likewise.
        cosine: likewise; rounding may make it a little negative.
        update_l1: distance between the committed states before and after, likewise.
        update_l2: likewise.
        update_linf: likewise.
    """

    leaf: Annotated[str, msgspec.Meta(max_length=4096)] | None
    equal: bool
    l1: MeasuredDistance
    l2: MeasuredDistance
    linf: MeasuredDistance
    cosine: Annotated[float, msgspec.Meta(ge=-1, le=3)] | None  # 0 to 2, and room for rounding
    update_l1: MeasuredDistance
    update_l2: MeasuredDistance
    update_linf: MeasuredDistance


class Reproduction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reproduction is what a backend made of steps that the prover had done.

    Attributes:
        kind: ``step``: executed from the committed state just before; ``segment``: as one of several steps, executed
            from the committed state before the first of them.
        start: the step of the state that it began with.
        stop: the step after which states are compared.
        digest: of the resulting state; states with equal digests have equal bits.
        exact: whether all bits are the prover's, those of the losses included: what a verifier would ask.
        total: all leaves as one vector.
        leaves: each leaf, in the order of the commitment.
        tolerance: what a verifier with this backend would say of a step within tolerances that it calibrates itself;
            None where it is exact, and for segments, which are not judged.
        tolerance_reason: why, in words.
    """

    kind: Literal["step", "segment"]
    start: Step
    stop: Step
    digest: HexDigest
    exact: bool
    total: Error
    leaves: tuple[Error, ...]
    tolerance: Literal["passed", "failed", "inconclusive"] | None = None
    tolerance_reason: BoundedText = ""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not self.start < self.stop:
            raise ValueError("stop is not after start")
        if self.exact and not self.total.equal:
            raise ValueError("exact, and yet not equal")
        if any(error.equal and error.l2 for error in (self.total, *self.leaves)):
            raise ValueError("equal, and yet at a distance")


class BackendOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An outcome says what became of a backend.

    Attributes:
        backend: which. The path of its interpreter is left out: it says something of one machine alone.
        status: ``ran``, or how it failed.
        reason: of a failure.
        environment: where it ran; None if it failed; likewise the next three.
        compile_seconds: for the step.
        step_seconds: median of a step.
        repeats: whether each step gave the same bits twice.
        reproductions: steps, at least one, then segments.
    """

    backend: Backend
    status: Status
    reason: BoundedText = ""
    environment: BackendEnvironment | None = None
    compile_seconds: Seconds | None = None
    step_seconds: Seconds | None = None
    repeats: bool | None = None
    reproductions: tuple[Reproduction, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        ran = self.environment is not None and bool(self.of("step")) and self.repeats is not None
        if ran != (self.status == "ran"):
            raise ValueError(
                f"status is {self.status}, and yet it {'has' if ran else 'has no'} steps, environment and repeats"
            )

    def of(self, kind: str) -> tuple[Reproduction, ...]:
        """Return the steps, or the segments."""
        return tuple(each for each in self.reproductions if each.kind == kind)


class Results(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Results are what a comparison on one machine found.

    Attributes:
        format: version of the format.
        claim: digest of the claim that was replayed.
        program: digest of its step program.
        task: the name that it gives itself.
        machine: the machine, in words.
        outcomes: of the backends.
    """

    format: Literal["pol-jax-backends/1"]
    claim: HexDigest
    program: HexDigest
    task: Annotated[str, msgspec.Meta(max_length=256)]
    machine: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    outcomes: Annotated[tuple[BackendOutcome, ...], msgspec.Meta(max_length=1024)]

    def encode(self) -> bytes:
        """Return the file's bytes: indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


def write_results(path: Path, results: Results) -> None:
    """Write a results file.

    Raises:
        StorageError: it can't be written.
    """
    with storing(path):
        write_whole(path, results.encode())


def read_results(path: Path) -> Results:
    """Return the results in a file.

    Raises:
        UsageError: no such file, too large, or no results; names the field.
    """
    try:
        # O_NONBLOCK: to open a pipe that nobody writes to would wait for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}; expected a results file of pol backends") from error
    if len(content) > _MOST_BYTES:
        raise UsageError(f"{path}: has more than {_MOST_BYTES} bytes")
    try:
        return msgspec.json.decode(content, type=Results)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: no results of pol backends: {printable(str(error))}") from None


def merge(parts: Sequence[Results]) -> tuple[Results, ...]:
    """Return results of several machines as one comparison: those of one machine stay apart from those of another.

    Equal results that are given twice count once; other results under the name of one machine get numbers.

    Raises:
        UsageError: they are about different runs.
    """
    first = parts[0]
    for part in parts[1:]:
        if (part.claim, part.program) != (first.claim, first.program):
            raise UsageError(
                f"results of two runs can't be compared: claim {first.claim[:16]} on {printable(first.machine)}, "
                f"claim {part.claim[:16]} on {printable(part.machine)}"
            )
    unlike = list(dict.fromkeys(parts))
    taken: dict[str, int] = {}
    named = []
    for part in unlike:
        taken[part.machine] = times = taken.get(part.machine, 0) + 1
        named.append(part if times == 1 else msgspec.structs.replace(part, machine=f"{part.machine} #{times}"))
    return tuple(named)
