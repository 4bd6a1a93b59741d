"""Forge by every attack, and count what the rule of the 2021 paper and each mode of this project's verifier say.

    python scripts/scoreboard.py trials  [--results FILE] [--task TASK] [--data-dir DIR] [--only NAME...] [--parts N]
                                         [--steps N] [--modes MODE...] [--strict]
    python scripts/scoreboard.py steps   [--results FILE] [--task TASK] [--data-dir DIR] [--parts N]
    python scripts/scoreboard.py search  [--results FILE] [--task TASK] [--data-dir DIR] [--examples N]
    python scripts/scoreboard.py honest  [--results FILE] [--tasks TASK...] [--seed N] [--data-dir DIR] [--steps N]
    python scripts/scoreboard.py commands [--results FILE]
    python scripts/scoreboard.py table   [--results FILE] [--write docs/attacks.md] [--picture FILE]

`trials` forges whole proofs of the tasks of `attacked`, or of a larger one; `steps` forges single steps of larger
tasks, and `search` looks for the strongest one that passes; `honest` judges proofs that are true; `commands` has the
command line forge and verify each once. Each writes what it has counted to the file of results after every trial, and
goes on from there when it is started again. `table` writes the tables of docs/attacks.md from that file. ``--strict``
has the paper's rule use the slack of 0.008 d_ref that published attacks were configured with, in the place of the
authors' own 0.14.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import honest_tasks
from red_team.commands import try_commands
from red_team.document import succeeds, trials_table, with_tables
from red_team.false_beginnings import try_beginnings
from red_team.honest import judge_honest
from red_team.honest_run import HonestRun, task_named
from red_team.modes import MODES
from red_team.search import search
from red_team.shared import shared
from red_team.steps import try_steps
from red_team.tally import Results, Tally, load, save
from red_team.trials import LARGER, Extent, try_all, victim_of, victims_in

from pol_jax import load_task
from pol_jax.attacks.catalogue import ATTACKS, attack_named
from pol_jax.attacks.paper_rule import PUBLISHED, STRICT
from pol_jax.cli.terminal import quiet_libraries
from pol_jax.verifying.compilations import variants

RESULTS = Path(__file__).parents[1] / "docs" / "attacks.json"
STEPS = 90
"""Of the victims' training, and of forgers who train: two epochs."""


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    trials = _command(commands, "trials", run_trials)
    trials.add_argument("--only", nargs="+", metavar="NAME", help="these attacks alone")
    trials.add_argument("--parts", type=int, default=100, help="false parts that are judged, for each attack and mode")
    trials.add_argument("--most", type=int, default=100, help="forgers of different seeds, for each attack")
    trials.add_argument("--task", help="a built-in task, in place of those of `attacked`")
    trials.add_argument("--data-dir", type=Path, help="TFDS data directory of CIFAR-10")
    trials.add_argument("--modes", nargs="+", choices=MODES, help="that judge, in place of the usual ones")
    trials.add_argument("--keep", type=Path, help="a folder that keeps the victims' proofs for the next time")
    trials.add_argument("--interval", type=int, default=5, help="between checkpoints of that task")
    trials.add_argument("--records", type=int, default=400, help="of CIFAR-10")
    trials.add_argument("--steps", type=int, default=STEPS, help="of the victims' training")
    trials.add_argument("--strict", action="store_true", help="a slack of 0.008 d_ref")
    steps = _command(commands, "steps", run_steps)
    steps.add_argument("--task", default="digits", help="a built-in task, or module:attribute")
    steps.add_argument("--data-dir", type=Path, help="TFDS data directory of CIFAR-10")
    steps.add_argument("--every", type=int, default=1, help="each such step is judged as numbers, beside by bits")
    steps.add_argument("--parts", type=int, default=100, help="false steps, for each attack")
    steps.add_argument("--steps", type=int, default=200, help="of the honest training")
    honest = _command(commands, "honest", run_honest)
    honest.add_argument("--tasks", nargs="+", metavar="TASK", help="module:attribute, or the name of a built-in task")
    honest.add_argument("--seed", type=int, default=1)
    honest.add_argument("--data-dir", type=Path, help="TFDS data directory of built-in tasks")
    honest.add_argument("--steps", type=int, help="of larger tasks, with three checkpoints after the first state")
    searched = _command(commands, "search", run_search)
    searched.add_argument("--task", default="digits", help="a built-in task, or module:attribute")
    searched.add_argument("--data-dir", type=Path, help="TFDS data directory of CIFAR-10")
    searched.add_argument("--examples", type=int, default=1000, help="pushes that are tried")
    searched.add_argument("--steps", type=int, default=200, help="of the honest training")
    once = _command(commands, "commands", run_commands)
    once.add_argument("--steps", type=int, default=STEPS, help="of the victims' training")
    table = _command(commands, "table", run_table)
    table.add_argument("--write", type=Path, help="a document whose tables are made anew")
    table.add_argument("--picture", type=Path, help="a file for the picture, such as scoreboard.png")
    options = parser.parse_args()
    quiet_libraries()
    options.run(options)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: object
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name)
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file that grows")
    parser.set_defaults(run=run)
    return parser


def run_trials(options: argparse.Namespace) -> None:
    """Forge whole proofs, and judge them in every mode."""
    results = load(options.results)
    chosen = [attack_named(name) for name in options.only] if options.only else ATTACKS
    with tempfile.TemporaryDirectory() as name, shared():
        folder, rule, kept = Path(name), STRICT if options.strict else PUBLISHED, options.keep or Path(name)
        extent = replace(LARGER if options.task else Extent(), parts=options.parts, forgers=options.most)
        if options.modes:
            extent = replace(extent, all_modes=options.modes, modes=options.modes)
        if options.task:
            task = task_named(options.task, options.data_dir, options.steps, options.records)
            victims = [victim_of(replace(task, interval=options.interval), kept / options.task)]
        else:
            victims = victims_in(kept, options.steps)
        tallies = results.larger.setdefault(options.task, {}) if options.task else results.trials
        try_all(chosen, tallies, victims, folder, rule, extent, _saved(options.results, results))


def run_steps(options: argparse.Namespace) -> None:
    """Forge single steps of a larger task, and judge them by bits, as numbers and with decisions."""
    results = load(options.results)
    tallies = results.steps.setdefault(options.task, {})
    task = task_named(options.task, options.data_dir, options.steps)
    with shared():
        honest_run, report = HonestRun.train(task, options.steps), _saved(options.results, results)
        try_beginnings(honest_run, tallies, options.parts, report, options.every)
        try_steps(honest_run, tallies, options.parts, report, options.every)


def run_search(options: argparse.Namespace) -> None:
    """Search for the strongest push that passes, of all kinds and places."""
    results = load(options.results)
    task = task_named(options.task, options.data_dir, options.steps)
    with shared():
        found = search(HonestRun.train(task, options.steps), options.examples)
    tally = Tally("searched", options.task, found.tried, gain=found.gain)
    tally.mode("tolerance").parts, tally.mode("tolerance").passed = found.tried, found.passed
    results.steps.setdefault(options.task, {})["searched"] = tally
    save(options.results, results)
    print(found)


def run_honest(options: argparse.Namespace) -> None:
    """Judge honest proofs of many tasks, made under each compilation."""
    results = load(options.results)
    for name in options.tasks or [f"honest_tasks:{name}" for name in honest_tasks.TASKS]:
        if f"{name}, seed {options.seed}" in results.honest:
            continue
        if options.steps:
            task = task_named(name, options.data_dir, options.steps)
            task = replace(task, interval=-(-options.steps // 3))
        else:
            task = load_task(name, data_dir=options.data_dir)
        counts = dict[str, int]()
        with tempfile.TemporaryDirectory() as folder, shared():
            for how, report in judge_honest(task, options.seed, Path(folder), variants()):
                key = f"{how}: {report.verdict.value}"
                counts[key] = counts.get(key, 0) + 1
                if not report:
                    print(f"  {name}, {how}: {report.verdict.value}: {'; '.join(report.reasons[:2])}", flush=True)
        results.honest[f"{name}, seed {options.seed}"] = counts
        save(options.results, results)
        print(f"{name}: {counts} ({time.process_time():.0f} s)", flush=True)


def run_commands(options: argparse.Namespace) -> None:
    """Forge and verify once by the command line, for each attack."""
    results = load(options.results)
    with tempfile.TemporaryDirectory() as folder:
        for attack, said in try_commands(Path(folder), options.steps, list(results.commands)):
            results.commands[attack] = said
            save(options.results, results)
            print(f"{attack}: {said}", flush=True)


def run_table(options: argparse.Namespace) -> None:
    """Print the table of attacks; write all tables and the picture where asked for."""
    results = load(options.results)
    print("\n".join(trials_table(results)))
    every = [results.trials, *results.larger.values()]
    for tally in filter(succeeds, (tally for tallies in every for tally in tallies.values())):
        print(f"SUCCEEDS: {tally.attack}")
    if options.write:
        text = options.write.read_text(encoding="utf-8")
        options.write.write_text(with_tables(text, results), encoding="utf-8")
    if options.picture:
        from red_team.picture import draw_scoreboard  # matplotlib is an extra

        draw_scoreboard(results.trials, options.picture)


def _saved(path: Path, results: Results) -> Callable[[Tally], None]:
    """Return what saves the results after each trial, and says what was counted."""
    begun = time.process_time()

    def report(tally: Tally) -> None:
        nonlocal begun
        save(path, results)
        now = time.process_time()
        said = "; ".join(f"{name} {each.passed}/{each.parts}" for name, each in tally.modes.items())
        print(f"{tally.attack} {tally.trials}: {said} ({now - begun:.1f} s)", flush=True)
        begun = now

    return report


if __name__ == "__main__":
    main()
