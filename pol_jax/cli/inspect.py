"""``pol inspect`` prints what a proof or an open run says about itself, and checks none of it."""

from __future__ import annotations

from itertools import takewhile
from math import lcm
from pathlib import Path

from rich import filesize
from rich.console import Console
from rich.text import Text

from pol_jax.cli.terminal import make_console, print_facts, print_line, quiet_libraries
from pol_jax.errors import printable
from pol_jax.protocol.commitment import nbytes
from pol_jax.protocol.limits import Limits
from pol_jax.reports.curves import Curve
from pol_jax.reports.provenance import provenance_of
from pol_jax.reports.wording.origins import describe_provenance
from pol_jax.sandbox.runs import open_run_apart
from pol_jax.storage.inventory import list_files
from pol_jax.storage.run import Run

_WIDEST_NAME = 24


def inspect_command(path: Path) -> None:
    """Print what the proof says about itself, without checking any of it."""
    quiet_libraries()
    with open_run_apart(path) as proof:
        _print(make_console(), proof)


def _print(console: Console, proof: Run) -> None:
    # Not a table, which would cut the digests that people copy.
    print_facts(console, [(printable(name), printable(value)) for name, value in _facts(proof)], _WIDEST_NAME)
    if proof.last_step > 1:
        curve = Curve(proof.last_step)
        for row in takewhile(lambda row: row.step <= proof.last_step, proof.rows()):  # a run may go on meanwhile
            curve.add(row.step, row.loss)
        _draw_curve(console, curve)
    console.print()
    print_line(console, "This is what the proof says about itself; pol verify checks it.", "dim")


def _state_digests(proof: Run) -> str:
    """Say after which steps the ledger has digests of states, and how many states these are."""
    schedule, last = proof.commitment.schedule, max(0, proof.last_step)
    every, interval = schedule.witness_interval, schedule.interval
    if every == 1:
        return "after every step"
    # A state has a digest at the multiples of both intervals (section 5); those of both at once are counted once.
    witnessed = 1 + last // every + last // interval - last // lcm(every, interval)
    if proof.claim and last % every and last % interval:  # the last step of a finished run
        witnessed += 1
    return f"after every {every} steps: {witnessed} of {last + 1} states"


def _facts(proof: Run) -> list[tuple[str, str]]:
    commitment, claim = proof.commitment, proof.claim
    data, schedule, provenance = commitment.data, commitment.schedule, provenance_of(commitment)
    finished = f"{claim.steps}" if claim else f"{max(0, proof.last_step)} so far; the run is not finished"
    facts = [
        ("task", commitment.task.name),
        *((f"  {name}", str(value)) for name, value in commitment.task.hyperparameters.items()),
        ("steps", finished),
        ("records", f"{data.records}, {'salted' if data.salted else 'public'}"),
        ("  root", data.root),
        ("batch size", str(schedule.batch_size)),
        ("epochs", f"{max(0, proof.last_step) * schedule.batch_size / data.records:.2f}"),
        ("state", f"{len(commitment.state)} leaves, {filesize.decimal(nbytes(commitment.state))}"),
        ("initial state", describe_provenance(provenance)),
        *((("  taken over", ", ".join(provenance.taken)),) if provenance.taken else ()),
        ("checkpoints", _checkpoints(proof)),
        *((("devices", f"{commitment.mesh.device_count}: {commitment.mesh}"),) if commitment.mesh else ()),
        ("state digests", _state_digests(proof)),
        ("seed", commitment.nonce),
        ("prover", commitment.prover or "no key"),
        ("commitment", commitment.digest().hex()),
    ]
    if claim:
        env = claim.environment
        where = f"{env.device_count} {env.device_kind} ({env.platform}), jax {env.jax}, jaxlib {env.jaxlib}"
        facts += [("claim", claim.digest().hex()), ("final state", claim.final_state), ("trained on", where)]
        facts += _sizes(proof)
    return facts


def _checkpoints(proof: Run) -> str:
    """Return how many checkpoints are kept, of those that were taken so far."""
    interval = proof.commitment.schedule.interval
    taken = len(proof.segments) + 1 if proof.claim else proof.last_step // interval + 1
    return f"{len(proof.checkpoints())} kept of {taken}, one every {interval} steps"


def _sizes(proof: Run) -> list[tuple[str, str]]:
    totals: dict[str, int] = {}
    for name, size in list_files(proof.root, Limits()).items():
        folder = name.split("/")[0]
        totals[folder] = totals.get(folder, 0) + size
    by_size = sorted(totals.items(), key=lambda item: -item[1])
    parts = ", ".join(f"{folder} {filesize.decimal(size)}" for folder, size in by_size)
    return [("size", f"{filesize.decimal(sum(totals.values()))}: {parts}")]


def _draw_curve(console: Console, curve: Curve) -> None:
    """Draw the loss over the steps."""
    try:
        import plotext
    except ModuleNotFoundError:
        console.print()
        print_line(console, "The learning curve needs plotext: pip install 'pol_jax[plots]'", "dim")
        return
    finite = [((point.first + point.last) / 2, point.loss) for point in curve.points() if point.loss is not None]
    if not finite:
        console.print("\nThe loss is not finite at any step.", style="yellow")
        return
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot([step for step, _ in finite], [loss for _, loss in finite], marker="braille")
    plotext.title("loss against step")
    plotext.plotsize(min(100, console.width), 16)
    console.print()
    console.print(Text.from_ansi(plotext.build()))
