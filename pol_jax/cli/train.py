"""``pol train`` trains with a proof, or continues a run that was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path

from rich.console import Console

from pol_jax.attesting import folder
from pol_jax.cli.terminal import Bars, make_console, print_line, quiet_libraries
from pol_jax.cli.train_options import TrainOptions
from pol_jax.errors import TaskError
from pol_jax.files import write_whole
from pol_jax.proving.recording import Recording
from pol_jax.reports.provenance import provenance_of
from pol_jax.reports.wording.origins import describe_provenance
from pol_jax.storage.proof import open_proof
from pol_jax.training.task import PyTree, Task
from pol_jax.training.user_code import calling


def train_command(task: str, options: TrainOptions) -> None:
    """Train with a proof, and print where the run begins, how many steps it has, and its claim."""
    quiet_libraries()
    console = make_console()
    key, out = options.private_key(), options.out
    drawn = options.read_beacon()
    with ExitStack() as reading:
        choices = options.choices(drawn, reading)
        loaded = options.load(task)
        recorded = Recording(
            loaded,
            out,
            steps=options.steps,
            keep_every=options.keep_every,
            choices=choices,
            progress=Bars(),
            self_check=options.segments_per_check(),
            key=key,
        )
        with recorded as recording:
            reading.close()  # what is taken over was read, and nobody else needs the process that read it
            if drawn.round_file is not None:
                write_whole(folder.attestation_path(out, folder.BEACON), drawn.round_file)
            _print_beginning(console, out, recording, signed=key is not None)
            if not options.commit_only:
                recording.run()
    if options.commit_only and not recording.finished:
        print_line(console, f"committed in {out}; the same command without --commit-only trains")
        return
    _print_end(console, out, loaded, recording)
    if options.evaluate and loaded.evaluate and not recording.finished:
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
    """Print the number of steps of the finished run, its claim, and who signed it."""
    proof = open_proof(out).finished()
    text = f"trained {proof.claim.steps} steps of {task.name}; the proof is in {out}"
    print_line(console, text)
    print_line(console, f"claim {proof.claim.digest().hex()}")
    if folder.attestation_path(out, folder.CLAIM).exists():
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
