"""A proof's program is compared with the one that the verifier exports from source that it trusts.

Equal bytes are the strong answer. Another version of jax may serialize one module to other bytes: then its text is
compared, as MLIR prints it without locations, with the arguments that it takes. It may also lower the same source to
another module, which is then a difference that says little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

import jax
import jax.export
import msgspec

from pol_jax.errors import BackendError, ProofError, TaskError
from pol_jax.program.artifact import Artifacts, artifact_digests
from pol_jax.program.signature import Signature
from pol_jax.program.stablehlo import canonical_text, parsed
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.encoding import artifact_digest
from pol_jax.protocol.environment import Environment, environment_differences
from pol_jax.protocol.limits import Limits
from pol_jax.reports.provenance import Origin
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.task import BUILT_IN, Task, load_task

_PRNG: Final = "threefry2x32"
"""A task that has no program for the keys of a commitment is exported for these."""


class Expected(msgspec.Struct, frozen=True, tag="expected"):
    """Expected is what the trusted source gives: digests of its programs, and of the names of their arrays.

    Attributes:
        artifacts: hex digests of init and step, as bytes.
        texts: the same of their texts.
        names: hex digest of what their arguments and results are called (`digest_names`). A program works on lists of
            arrays, and doesn't know which are the parameters.
    """

    artifacts: tuple[str, str]
    texts: tuple[str, str]
    names: str


Trusted: TypeAlias = Callable[[Commitment, int], Expected | None]
"""This function tells what to expect of a proof with this commitment and this many steps; None where there is no source
for it."""


def trust(*tasks: Task | Callable[[Commitment, int], Task]) -> Trusted:
    """Return what tells the programs of a trusted task.

    A program may depend on the commitment and on the number of steps, so a function may give the task for them. Of
    several tasks, that one is expected whose program the proof has; if none is, the first.
    """

    def expect(commitment: Commitment, steps: int) -> Expected:
        first, failures, aim = None, list[TaskError](), _aim(commitment, steps)
        for task in tasks:
            try:
                expected = _export(task if isinstance(task, Task) else task(commitment, aim), commitment)
            except TaskError as error:  # it may have no program for these numbers of steps and records
                failures.append(error)
                continue
            own = (expected.artifacts, expected.names)
            # One source may give several programs, such as for another number of steps; the proof may have any of them.
            if own == ((commitment.program.init, commitment.program.step), digest_names(commitment)):
                return expected
            first = first or expected
        return first or _none_of(tasks, commitment, aim, failures)

    return expect


def _none_of(
    tasks: Iterable[Task | Callable[[Commitment, int], Task]],
    commitment: Commitment,
    aim: int,
    failures: Sequence[TaskError],
) -> Expected:
    """Return what no proof has, if a task has a program by itself, and none for what this commitment chose.

    A prover chooses the numbers of steps and of records of a batch, the arithmetic and the keys: no verification may
    end without a verdict by that.

    Raises:
        TaskError: the source is broken, whatever the proof is.
    """
    for task in tasks:
        with suppress(TaskError):
            own = task if isinstance(task, Task) else task(commitment, aim)
            _artifacts(own, signature_of(own, _PRNG))
            return Expected(("", ""), ("", ""), "")
    raise failures[0]


def _aim(commitment: Commitment, steps: int) -> int:
    """Return for how many steps a program was made: the committed ones, of which a run that stops early has fewer.

    A commitment of version 1 has none, and one beyond what is verified is not handed to a task.
    """
    committed = commitment.schedule.steps
    return steps if committed is None or committed > Limits().steps else committed


def trust_built_in(data_dir: Path | None = None) -> Trusted:
    """Return what tells the program of the built-in task that a proof names, if it names one.

    The name is the proof's, so that it says what the proof is to be compared with, and not that it is the same. The
    program may depend on the number of steps that the run committed to, or on the task's own, if these are fewer.
    """

    def expect(commitment: Commitment, steps: int) -> Expected | None:
        name = commitment.task.name
        # None and no error: a proof may name any task, and is then one that was compared with no source.
        if name not in BUILT_IN:
            return None
        return trust(
            lambda _, steps: load_task(name, data_dir=data_dir, steps=steps),
            lambda _, steps: load_task(name, data_dir=data_dir),
        )(commitment, steps)

    return expect


def _export(task: Task, commitment: Commitment) -> Expected:
    """Return what a task gives under the batch size and PRNG of a commitment, with the types that its program has."""
    arithmetic: Literal["exact"] | None = None if commitment.arithmetic is None else "exact"
    own = replace(task, batch_size=commitment.schedule.batch_size, arithmetic=arithmetic)
    # With other types, the same source would be exported as another program (section 9).
    with jax.enable_x64(Signature.from_commitment(commitment).is_wide):
        signature = signature_of(own, commitment.schedule.prng, commitment.mesh)
        return expected_of(_artifacts(own, signature), signature)


def _artifacts(task: Task, signature: Signature) -> Artifacts:
    unbounded = Limits(constant_bytes=2**62)  # the verifier's own program has nothing to hide
    return export_task(task, signature, unbounded)


def expected_of(artifacts: Artifacts, signature: Signature) -> Expected:
    """Return what to expect of a proof whose programs are these, which come from trusted source."""
    return Expected(artifact_digests(artifacts), _text_digests(artifacts), _names_digest(signature))


def digest_names(commitment: Commitment) -> str:
    """Return a digest of what the leaves of states and records, and the metrics, are called, in the program's order."""
    return _names_digest(Signature.from_commitment(commitment))


def origin_of(artifacts: Artifacts, names: str, expected: Expected) -> tuple[Origin, str]:
    """Compare a proof's programs, which load, with the expected ones; return the result, also in words.

    Args:
        artifacts: the programs.
        names: of their arguments and results (`digest_names`).
        expected: what the trusted source gives.
    """
    same_bytes = artifact_digests(artifacts) == expected.artifacts
    # Bytes first, then text: another jax may serialize one module to other bytes, and its text stays the same.
    if not same_bytes and _text_digests(artifacts) != expected.texts:
        return Origin.DIFFERS, "programs differ from those of the trusted source"
    # The same arithmetic under other names is another training: the parameters could be what the task calls statistics.
    if names != expected.names:
        return Origin.DIFFERS, "leaves or metrics have other names than those of the trusted source"
    how = (
        "are those of the trusted source, byte for byte"
        if same_bytes
        else "have the text of those of the trusted source"
    )
    return Origin.TRUSTED, f"programs {how}"


def is_expected(artifacts: Artifacts, names: str, expected: Expected) -> bool:
    """Return whether programs are the expected ones; for arguments see `origin_of`."""
    return origin_of(artifacts, names, expected)[0] is Origin.TRUSTED


def other_program(words: str, claimed: Environment, own: Environment) -> ProofError | BackendError:
    """Refuse the program, if this jax is the prover's; another jax may write the same program down in another way."""
    differences = environment_differences(claimed, own)
    changed = [line for line in differences if line.startswith(("jax: ", "jaxlib: "))]
    if changed:
        return BackendError(f"program: {words}, or were exported by another jax ({'; '.join(changed)})")
    return ProofError("program", words)


def _names_digest(signature: Signature) -> str:
    state = [(leaf.path, leaf.dtype, leaf.shape, leaf.prng) for leaf in signature.state]
    record = [(leaf.path, leaf.dtype, leaf.shape) for leaf in signature.record]
    return artifact_digest("names", msgspec.json.encode((state, record, signature.metrics, signature.loss))).hex()


def _text_digests(artifacts: Artifacts) -> tuple[str, str]:
    init, step = (
        artifact_digest(f"{name} program text", _text(content)).hex()
        for name, content in (("init", artifacts.init), ("step", artifacts.step))
    )
    return init, step


def _text(artifact: bytes) -> bytes:
    """Return a program's text, with the arguments that reach it: these decide its result too."""
    exported = jax.export.deserialize(bytearray(artifact))
    with parsed(exported.mlir_module()) as module:
        # `main` lacks the arguments that no result needs: two programs with one text may read different ones.
        return f"{sorted(set(exported.module_kept_var_idx))}\n{canonical_text(module)}".encode()
