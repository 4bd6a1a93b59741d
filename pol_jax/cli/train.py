"""This module implements ``pol train``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console

from pol_jax.attesting import folder
from pol_jax.attesting.beacon import read_round
from pol_jax.attesting.key_files import read_private_key
from pol_jax.attesting.weights import read_weights
from pol_jax.cli.terminal import Bars, ask_passphrase, make_console, print_line, quiet_libraries
from pol_jax.cli.timestamp import read_input
from pol_jax.errors import ProofError, TaskError, UsageError
from pol_jax.files import write_whole
from pol_jax.proving.choices import SECRET_BYTES, Choices
from pol_jax.proving.fine_tuning import Start
from pol_jax.proving.open_run import steps_of_open_run
from pol_jax.proving.recording import Recording
from pol_jax.reports.provenance import provenance_of
from pol_jax.reports.wording.origins import describe_provenance
from pol_jax.sandbox.proofs import open_apart
from pol_jax.storage.foreign_weights import load_weights, nested_by_name
from pol_jax.storage.proof import open_proof
from pol_jax.training.task import PyTree, Task, load_task
from pol_jax.training.user_code import calling


def train_command(
    task: str,
    out: Path,
    steps: int | None,
    interval: int | None,
    witness_interval: int | None,
    keep_every: int | None,
    self_check: str | None,
    seed: str | None,
    key: Path | None,
    beacon: str | None,
    private: Path | None,
    data_dir: Path | None,
    start_from: Path | None,
    start_from_weights: Path | None,
    take: tuple[str, ...],
    max_constants: int | None,
    evaluate: bool,
    arithmetic: Literal["exact"] | None,
    may_stop_early: bool,
    commit_only: bool,
) -> None:
    """Train with a proof, and print where the run begins and what it has come to."""
    quiet_libraries()
    console = make_console()
    private_key = read_private_key(key, lambda: ask_passphrase(f"Passphrase of {key}")) if key else None
    drawn, round_file = _beacon(beacon)
    with ExitStack() as reading:
        choices = Choices(
            interval=interval,
            witness_interval=witness_interval,
            seed=seed,
            beacon=drawn,
            secret=read_secret(private) if private else None,
            constant_bytes=max_constants,
            start=_start(start_from, start_from_weights, take, reading),
            may_stop_early=may_stop_early,
        )
        # A task may depend on the number of steps; a run that is continued keeps the number with which it began.
        loaded = load_task(task, data_dir=data_dir, steps=steps or steps_of_open_run(out))
        if arithmetic:
            loaded = replace(loaded, arithmetic=arithmetic)
        recorded = Recording(
            loaded,
            out,
            steps=steps,
            keep_every=keep_every,
            choices=choices,
            progress=Bars(),
            self_check=_every(self_check),
            key=private_key,
        )
        with recorded as recording:
            reading.close()  # what is taken over was read, and nobody else needs the process that read it
            if round_file is not None:
                write_whole(folder.place(out, folder.BEACON), round_file)
            _print_beginning(console, out, recording, signed=private_key is not None)
            if not commit_only:
                recording.run()
    if commit_only and not recording.finished:
        print_line(console, f"committed in {out}; the same command without --commit-only trains")
        return
    _print_end(console, out, loaded, recording)
    if evaluate and loaded.evaluate and not recording.finished:
        _evaluate(console, loaded.evaluate, recording.task_state(open_proof(out)))


def _print_beginning(console: Console, out: Path, recording: Recording, *, signed: bool) -> None:
    """Print where the run begins or continues, which checkpoints were skipped, and what will not be signed."""
    if recording.commitment.prover is not None and not signed:
        line = "the commitment names a prover, and without --key the claim will not be signed; pol sign can do it later"
        print_line(console, line, "yellow")
    for line in recording.damaged:
        print_line(console, f"skipped a damaged checkpoint: {line}", "yellow")
    if recording.finished:
        print_line(console, f"{out} is finished already")
        return
    provenance = describe_provenance(provenance_of(recording.commitment))
    print_line(console, f"initial state: {provenance}")
    if recording.start:
        console.print(f"continuing after step {recording.start} of {recording.steps}")


def _print_end(console: Console, out: Path, task: Task, recording: Recording) -> None:
    """Print what the run has come to: its length and the claim."""
    proof = open_proof(out).finished()
    text = f"trained {proof.claim.steps} steps of {task.name}; the proof is in {out}"
    print_line(console, text)
    print_line(console, f"claim {proof.claim.digest().hex()}")
    if folder.place(out, folder.CLAIM).exists():
        print_line(console, f"signed by {proof.commitment.prover}")


def _evaluate(console: Console, evaluate: Callable[[PyTree], Mapping[str, float]], state: PyTree) -> None:
    """Print what the task's own evaluation says about the final state; the proof is finished, whatever that is.

    Raises:
        UserCodeError: the evaluation raised an exception, or returned no names and numbers.
    """
    show = make_console(stderr=True)
    with calling("evaluate (the proof is finished)"), show.status("evaluating") if show.is_terminal else nullcontext():
        results = evaluate(state)
        if not isinstance(results, Mapping):
            raise TaskError(f"evaluate returned {type(results).__name__}; expected a dict of names and numbers")
        lines = [f"{name} {float(value):.4f}" for name, value in results.items()]
    for line in lines:
        print_line(console, line)


def _beacon(given: str | None) -> tuple[str | None, bytes | None]:
    """Return what a commitment names a beacon by, and the file of a drand round that was given for it, verified.

    Raises:
        UsageError: the file is no round of a chain that is known, or is of the future.
    """
    if given is None or not os.path.isfile(given):  # no error for what can't be the name of a file
        return given, None
    content = read_input(Path(given), folder.MAX_ROUND_BYTES)
    try:
        return read_round(content, now=datetime.now(UTC), where=given).text(), content
    except ProofError as error:
        raise UsageError(f"--beacon: {error}") from None


def _every(text: str | None) -> int | None:
    """Return N of ``1/N``."""
    if text is None:
        return None
    match = re.match(r"1/([1-9]\d{0,8})\Z", text, re.ASCII)
    if not match:
        raise UsageError(f"--self-check {text!r}: expected 1/N, such as 1/20, for one segment of N")
    return int(match[1])


def _start(proof: Path | None, weights: Path | None, take: tuple[str, ...], reading: ExitStack) -> Start | None:
    """Return what the run begins with; the process that reads an earlier proof ends with ``reading``."""
    if proof and weights:
        raise UsageError("--start-from and --start-from-weights: give one of them")
    if take and not (proof or weights):
        raise UsageError("--take: says what to take over; give --start-from or --start-from-weights too")
    if proof:
        return Start(reading.enter_context(open_apart(proof)), take or ("",))
    return Start(_weights(weights), take or ("",)) if weights else None


def _weights(path: Path) -> PyTree:
    """Return weights of unproven origin, from a file by its suffix, from several files, or from an Orbax checkpoint."""
    if path.is_file() or any(path.glob("*.safetensors")):
        return nested_by_name(read_weights(path))
    return load_weights(path)


def read_secret(path: Path) -> bytes:
    """Return the 32 bytes that salt the records of a private data set.

    Raises:
        UsageError: the file can't be read, or has not 32 bytes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    if len(content) != SECRET_BYTES:
        raise UsageError(
            f"{path}: has {len(content)} bytes, expected {SECRET_BYTES}; make one with: head -c 32 /dev/urandom"
        )
    return content
