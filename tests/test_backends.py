"""The reproduction error across backends: each in a process of its own; results that travel, and those of strangers."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from click.testing import CliRunner
from msgspec.structs import replace
from rich.console import Console

from pol_jax.backends import comparison, runner
from pol_jax.backends import results as results_file
from pol_jax.backends.comparison import compare_backends
from pol_jax.backends.description import Backend, built_in, choose, parse_backends
from pol_jax.backends.material import Material, read_material
from pol_jax.backends.measurement import reproductions
from pol_jax.backends.overview import lines, ranges, relative
from pol_jax.backends.plots import write_plots
from pol_jax.backends.results import Error, Outcome, Results, merge, read_results, write_results
from pol_jax.backends.runner import Environment, Failed
from pol_jax.backends.summary import meaning, summary
from pol_jax.backends.table import SCHEMA, table, write_table
from pol_jax.cli import main as cli
from pol_jax.errors import BackendError, ProofError, UsageError
from pol_jax.protocol.opening import OpenedState, Opening
from pol_jax.protocol.spans import Span
from pol_jax.proving.commit import Choices
from pol_jax.proving.opener import open_steps
from pol_jax.proving.recording import train
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof

SCRIPT = Path(__file__).parents[1] / "scripts" / "compare_backends.py"
SOURCE = tiny.plain().source
STEPS = (1, 8, 9, 10, 24)


@pytest.fixture(scope="module")
def opening(plain_proof: Path) -> Opening:
    return open_steps(open_proof(plain_proof), SOURCE, STEPS)


@pytest.fixture(scope="module")
def material(opening: Opening) -> Material:
    return read_material(opening)


def interpreter(path: Path, line: str) -> str:
    """A program that is started as if it were Python."""
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="module")
def measured(material: Material, tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, dict[str, runner.Ran]]:
    """What this machine makes of the opening, failures of every kind among it; and what the processes gave."""
    ran: dict[str, Any] = {}

    def remember(backend: Backend, *arguments: Any) -> Any:
        return ran.setdefault(backend.name, runner.run(backend, *arguments))

    folder = tmp_path_factory.mktemp("interpreters")
    backends = (
        Backend("cpu", "cpu"),
        Backend("cpu, no optimisation", "cpu", ("--xla_backend_optimization_level=0",)),
        Backend("no such flag", "cpu", ("--xla_no_such_flag=1",)),
        Backend("cuda", "cuda"),
        Backend("cuda, deterministic", "cuda", ("--xla_gpu_exclude_nondeterministic_ops=true",)),
        Backend("no interpreter", "cpu", python=str(folder / "nowhere")),
        Backend("crashes", "cpu", python=interpreter(folder / "crashes", "kill -SEGV $$")),
        Backend("says nothing", "cpu", python=interpreter(folder / "silent", "exit 0")),
        Backend("no jax", "cpu", python=interpreter(folder / "bare", "echo 'ModuleNotFoundError: jax' >&2; exit 1")),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "run", remember)
        return compare_backends(material, backends, machine="here"), ran


@pytest.fixture(scope="module")
def results(measured: tuple[Results, dict[str, runner.Ran]]) -> Results:
    return measured[0]


def outcome(found: Results, name: str) -> Outcome:
    return next(each for each in found.outcomes if each.backend.name == name)


def shown(parts: tuple[Results, ...], d_ref: float | None = None) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(summary(parts, d_ref), soft_wrap=True)
    return console.file.getvalue()


# --- what is measured --------------------------------------------------------------------------------------------


def test_as_it_comes_this_machine_gives_the_prover_s_bits(results: Results) -> None:
    found = outcome(results, "cpu")
    assert (found.status, found.repeats) == ("ran", True)
    assert [(each.kind, each.start, each.stop) for each in found.reproductions] == [
        *(("step", step - 1, step) for step in STEPS),
        *(("segment", 7, stop) for stop in (8, 9, 10)),
    ]
    assert all(each.exact and each.total.equal and each.total.l2 == 0 for each in found.reproductions)
    assert {each.tolerance for each in found.reproductions} == {None}
    assert all((each.total.update_l2 or 0) > 0 for each in found.reproductions)


def test_another_compilation_gives_other_bits_and_the_errors_say_by_how_much(
    results: Results, material: Material
) -> None:
    found = outcome(results, "cpu, no optimisation")
    steps = found.of("step")
    assert found.repeats
    assert not all(each.exact for each in steps)
    for each in steps:
        assert relative(each.total) < 1e-5
        assert (each.tolerance is None) == each.exact
        assert [leaf.leaf for leaf in each.leaves] == [leaf.path for leaf in material.commitment.state]
    worst = max(found.of("step"), key=lambda each: relative(each.total))
    by_leaf = [leaf.l2 or 0.0 for leaf in worst.leaves]
    assert worst.total.l2 == pytest.approx(np.linalg.norm(by_leaf))
    assert worst.total.linf == max(leaf.linf or 0.0 for leaf in worst.leaves)


def test_the_errors_are_those_of_the_states(
    material: Material, measured: tuple[Results, dict[str, runner.Ran]]
) -> None:
    """As numpy has them; and the loss counts where the state is equal."""
    ran = measured[1]["cpu, no optimisation"]
    spec = material.commitment.state
    for each in reproductions(material, ran)[: len(STEPS)]:
        content, at, squares = ran.arrays[f"step/{each.stop}"], 0, 0.0
        for leaf, committed in zip(spec, material.states[each.stop].leaves, strict=True):
            mine = content[at : at + leaf.nbytes].copy().view(committed.dtype).reshape(leaf.shape)
            at += leaf.nbytes
            if leaf.dtype in ("float32", "bfloat16"):
                squares += float(np.sum((mine.astype(np.float64) - committed.astype(np.float64)) ** 2))
        assert each.total.l2 == pytest.approx(np.sqrt(squares), rel=1e-12)
    exact = {**ran.arrays, "step/8": work_state(material, 8), "loss/8": np.zeros(4, np.uint8)}
    changed = next(each for each in reproductions(material, ran_with(ran, exact)) if each.stop == 8)
    assert changed.total.equal
    assert not changed.exact
    for name in ("step/8", "loss/8", "segment/7/9", "segment loss/7/9"):
        for damage in ({}, {name: np.zeros(1, np.uint8)}, {name: np.zeros(8, np.float64)}):
            arrays = {key: value for key, value in ran.arrays.items() if key != name} | damage
            with pytest.raises(ValueError, match=r"array|bytes|losses|dtype"):
                reproductions(material, ran_with(ran, arrays))


def work_state(material: Material, step: int) -> np.ndarray:
    return np.frombuffer(b"".join(leaf.tobytes() for leaf in material.states[step].leaves), np.uint8)


def ran_with(ran: runner.Ran, arrays: dict[str, np.ndarray]) -> runner.Ran:
    return runner.Ran(ran.environment, ran.compile_seconds, ran.step_seconds, ran.repeats, arrays)


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("no such flag", "refused", "--xla_no_such_flag=1"),
        ("cuda", "missing", "the program can be lowered for it"),
        ("cuda, deterministic", "missing", "the program can be lowered for it"),
        ("no interpreter", "missing", "No such file"),
        ("crashes", "crashed", "died of SIGSEGV"),
        ("says nothing", "crashed", "ended without a result"),
        ("no jax", "missing", "ModuleNotFoundError: jax"),
    ],
)
def test_a_backend_that_fails_is_a_row_that_says_why(results: Results, name: str, status: str, words: str) -> None:
    found = outcome(results, name)
    assert found.status == status
    assert words in found.reason
    assert found.reproductions == ()
    assert words in shown((results,)).replace("\n", " ")


def test_a_backend_may_not_take_for_ever(material: Material, tmp_path: Path) -> None:
    slow = Backend("slow", "cpu", python=interpreter(tmp_path / "slow", "exec sleep 60"))
    found = compare_backends(material, [slow], timeout=0.2)
    assert (found.outcomes[0].status, found.outcomes[0].reason) == ("timed out", "took more than 0.2 s")
    assert list(meaning(lines((found,)))) == ["no backend ran: nothing was measured"]


def test_an_unknown_instruction_set_is_no_backend() -> None:
    """XLA only warns of it, and goes on as if nothing were asked."""
    found = runner._outcome(0, "W1126 cpu_features.cc:106] Unknown CPU ISA: FOO", Path("/nowhere"))
    assert found == Failed("refused", "Unknown CPU ISA: FOO")


def test_what_a_process_leaves_behind_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "info.json").write_text('{"status": "ran", "reason": "", "environment": 1}')
    assert isinstance(runner._outcome(0, "", tmp_path), Failed)
    environment = dict.fromkeys(("platform", "platform_version", "device_kind", "jax", "jaxlib", "python"), "x")
    info = {"status": "ran", "reason": "", "environment": environment | {"device_count": 1, "cpu_count": 1}}
    (tmp_path / "info.json").write_bytes(msgspec.json.encode(info))
    assert isinstance(runner._outcome(0, "", tmp_path), Failed)
    np.savez(tmp_path / "states.npz", a=np.array([object()]))
    found = runner._outcome(0, "", tmp_path)
    assert isinstance(found, Failed)
    assert "states can't be read" in found.reason


# --- what is replayed --------------------------------------------------------------------------------------------


def test_steps_in_a_row_are_a_segment(material: Material) -> None:
    assert material.spans == tuple(Span(step - 1, step) for step in STEPS)
    assert material.segments == ((Span(7, 8), Span(8, 9), Span(9, 10)),)


def test_part_of_an_opening(opening: Opening) -> None:
    assert read_material(opening, (9,)).spans == (Span(8, 9),)
    with pytest.raises(UsageError, match="step 11: is not in the opening"):
        read_material(opening, (9, 11))


def test_sparse_witnesses_and_private_records(tmp_path: Path) -> None:
    secret = b"s" * 32
    choices = Choices(interval=6, witness_interval=4, secret=secret)
    proof = train(tiny.plain(), tmp_path / "proof", steps=11, choices=choices)
    found = read_material(open_steps(proof, SOURCE, (2, 5, 11), secret=secret))
    assert found.spans == (Span(0, 4), Span(4, 6), Span(8, 11))
    assert found.segments == ((Span(0, 4), Span(4, 6)),)
    assert sorted(found.inputs) == [1, 2, 3, 4, 5, 6, 9, 10, 11]


def flipped(content: bytes, at: int = 0) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def _with_state(opening: Opening, leaves: tuple[bytes, ...]) -> Opening:
    first, *rest = opening.states
    return replace(opening, states=(replace(first, leaves=leaves), *rest))


DAMAGES: dict[str, tuple[Callable[[Opening], Opening], str]] = {
    "state": (lambda o: _with_state(o, tuple(flipped(x) if x else x for x in o.states[0].leaves)), "row 0"),
    "state's size": (lambda o: _with_state(o, o.states[0].leaves[:-1]), "other sizes"),
    "record": (
        lambda o: replace(
            o, records=(replace(o.records[0], leaves=tuple(map(flipped, o.records[0].leaves))), *o.records[1:])
        ),
        "row",
    ),
    "loss": (lambda o: replace(o, rows=(*o.rows[:1], replace(o.rows[1], row=o.rows[1].row[:-1]), *o.rows[2:])), "row"),
    "row": (lambda o: replace(o, rows=(replace(o.rows[0], row=flipped(o.rows[0].row, 20)), *o.rows[1:])), "row 0"),
    "step of a row": (
        lambda o: replace(o, rows=(replace(o.rows[0], row=b"\xff" * 50), *o.rows[1:])),
        "no run has more",
    ),
    "program": (lambda o: replace(o, step=flipped(o.step, 100)), "not the committed program"),
    "commitment": (lambda o: replace(o, commitment=b"{}"), "commitment.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_opening_is_not_measured(opening: Opening, damage: str) -> None:
    change, words = DAMAGES[damage]
    with pytest.raises(ProofError, match=words):
        read_material(change(opening))


def test_states_far_apart_cost_nothing(opening: Opening) -> None:
    far = OpenedState(2**62, opening.states[0].leaves)
    assert read_material(replace(opening, states=(*opening.states, far))).spans[-1] == Span(23, 24)
    with pytest.raises(UsageError, match="no step with the states before and after"):
        read_material(replace(opening, rows=opening.rows[:1], states=(opening.states[0], far)))


# --- which backends ----------------------------------------------------------------------------------------------


def test_backends_of_a_file() -> None:
    content = b"""
    [[backend]]
    name = "old vectors"
    platform = "cpu"
    xla_flags = ["--xla_cpu_max_isa=AVX", "--xla_cpu_enable_fast_math=true"]
    matmul_precision = "highest"
    threads = 1
    devices = 2
    python = "/opt/python"
    """
    flags = ("--xla_cpu_max_isa=AVX", "--xla_cpu_enable_fast_math=true")
    assert parse_backends(content, "f.toml") == (
        Backend("old vectors", "cpu", flags, "highest", threads=1, devices=2, python="/opt/python"),
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[[backend]", "no TOML"),
        ("\xff", "no TOML"),
        ("", "backend"),
        ("backend = []", "length >= 1"),
        ('[[backend]]\nname = "a"', "platform"),
        ('[[backend]]\nname = "a"\nplatform = "abacus"', "abacus"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nspeed = 1', "speed"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nthreads = 0', r"\$.backend\[0\].threads"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nthreads = "1"', "threads"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nxla_flags = ["xla_a"]', "xla_flags"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nxla_flags = ["--xla_a=1 --xla_b"]', "xla_flags"),
        ('[[backend]]\nname = "a\\u001b"\nplatform = "cpu"', "name"),
        ('[[backend]]\nname = "a"\nplatform = "cuda"\ndevices = 2', "only a cpu can pretend"),
        ('[[backend]]\nname = "a"\nplatform = "cpu"\nmatmul_precision = "bfloat17"', "bfloat17"),
    ],
)
def test_what_is_no_backend_is_refused_in_one_line(content: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        parse_backends(content.encode("latin-1"), "f.toml")
    assert str(refused.value).startswith("f.toml: ")
    assert "\n" not in str(refused.value)


def test_backends_are_chosen_by_name_or_platform() -> None:
    every = built_in()
    assert sum(each.platform == "cpu" for each in every) >= 6
    assert choose(every, []) == every
    assert {each.platform for each in choose(every, ["cuda"])} == {"cuda"}
    assert [each.name for each in choose(every, ["cpu, fast math"])] == ["cpu, fast math"]
    with pytest.raises(UsageError, match="no backend is called 'gpu'"):
        choose(every, ["gpu"])
    with pytest.raises(UsageError, match="two backends have the name 'cpu'"):
        choose((*every, Backend("cpu", "cpu")), [])


def test_settings_reach_the_process_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1")
    monkeypatch.setenv("PYTHONPATH", "/here")
    mine = runner._variables(Backend("x", "cpu", ("--xla_b=2",), threads=3, devices=4))
    assert mine["XLA_FLAGS"] == "--xla_a=1 --xla_b=2 --xla_force_host_platform_device_count=4"
    assert (mine["JAX_PLATFORMS"], mine["NPROC"], mine["PYTHONPATH"]) == ("cpu", "3", "/here")
    assert mine["JAX_ENABLE_COMPILATION_CACHE"] == "false"
    assert runner._variables(Backend("x", "cpu", python="/other"))["PYTHONPATH"] == ""


# --- results that travel -----------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(results: Results) -> Results:
    """What a machine with a GPU might have sent."""
    gpu = Environment("gpu", "cuda 13", "NVIDIA H100", 1, 8, "0.12.0", "0.12.0", "3.12.1")
    other = outcome(results, "cpu, no optimisation")
    ran = replace(other, backend=Backend("cuda", "cuda"), environment=gpu)
    return replace(results, machine="a GPU host", outcomes=(ran, replace(ran, backend=Backend("cpu", "cpu"))))


def test_results_are_read_as_they_were_written(results: Results, tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json") == results
    assert "interpreters" not in (tmp_path / "results.json").read_text(), "a path of this machine"


def test_results_of_machines_are_joined(results: Results, elsewhere: Results) -> None:
    parts = merge([results, elsewhere, results, replace(elsewhere, outcomes=elsewhere.outcomes[:1])])
    assert [part.machine for part in parts] == ["here", "a GPU host", "a GPU host #2"]
    found = lines(parts)
    assert [(line.machine, line.label, line.bits) for line in found] == [
        (1, "cpu [1]", "A"),
        (1, "cpu, no optimisation [1]", "B"),
        (2, "cuda [2]", "B"),
        (2, "cpu [2]", "B"),
        (3, "cuda [3]", "B"),
    ]
    text = shown(parts)
    assert "NVIDIA H100" in text
    assert "cpu [1], as it comes, gives the prover's bits" in text
    assert "cuda [2], as it comes, gives other bits than the prover" in text
    with pytest.raises(UsageError, match="results of two runs can't be compared"):
        merge([results, replace(elsewhere, claim="0" * 64)])


def test_tables_have_a_row_for_each_state_and_leaf(results: Results, elsewhere: Results, tmp_path: Path) -> None:
    write_table(table((results, elsewhere), 2.0), tmp_path / "t.parquet", tmp_path / "t.csv")
    read = pq.read_table(tmp_path / "t.parquet")
    assert read.schema.equals(SCHEMA)
    rows = read.to_pylist()
    leaves = len(outcome(results, "cpu").reproductions[0].leaves)
    assert len(rows) == 4 * 8 * (1 + leaves) + 7
    whole = [row for row in rows if row["backend"] == "cpu, no optimisation" and row["leaf"] is None]
    assert [row["stop"] for row in whole] == [*STEPS, 8, 9, 10]
    for row in whole:
        assert row["l2_relative"] == row["l2"] / row["update_l2"]
        assert row["l2_over_d_ref"] == row["l2"] / 2
    (missing,) = (row for row in rows if row["backend"] == "cuda" and row["machine"] == "here")
    assert (missing["status"], missing["kind"], missing["l2"]) == ("missing", None, None)
    with (tmp_path / "t.csv").open(newline="") as file:
        assert next(iter(csv.reader(file))) == SCHEMA.names


def test_figures(results: Results, elsewhere: Results, tmp_path: Path) -> None:
    names = {path.name for path in write_plots((results, elsewhere), tmp_path)}
    assert names == {f"{name}.{ending}" for name in ("steps", "growth", "leaves") for ending in ("svg", "png")}
    assert all((tmp_path / name).stat().st_size > 1000 for name in names)
    equal = replace(results, outcomes=(outcome(results, "cpu"),))
    assert write_plots((equal,), tmp_path) == []


def test_errors_without_a_number_are_shown_too(results: Results, tmp_path: Path) -> None:
    """A training that overflows: NaN has no distance."""
    nothing = Error(None, False, None, None, None, None, None, None, None)
    ran = outcome(results, "cpu, no optimisation")
    lost = replace(
        ran, reproductions=tuple(replace(each, exact=False, total=nothing, leaves=()) for each in ran.reproductions)
    )
    parts = (replace(results, outcomes=(lost,)),)
    assert "no number" in shown(parts, 1.0)
    assert table(parts, 1.0).column("l2_relative").null_count == 8
    write_plots(parts, tmp_path)


def _edited(results: Results, edit: Callable[[dict[str, Any]], None]) -> bytes:
    plain = msgspec.to_builtins(results)
    edit(plain)
    return msgspec.json.encode(plain)


def _first(plain: dict[str, Any]) -> dict[str, Any]:
    return plain["outcomes"][0]["reproductions"][0]


HOSTILE: dict[str, Callable[[dict[str, Any]], None]] = {
    "unknown field": lambda plain: plain.update(more=1),
    "another format": lambda plain: plain.update(format="pol-jax-backends/2"),
    "negative distance": lambda plain: _first(plain)["total"].update(l2=-1.0),
    "text for a number": lambda plain: _first(plain)["total"].update(l2="0"),
    "equal at a distance": lambda plain: _first(plain)["total"].update(l2=1.0),
    "exact but not equal": lambda plain: _first(plain)["total"].update(equal=False),
    "backwards": lambda plain: _first(plain).update(start=9),
    "huge step": lambda plain: _first(plain).update(stop=2**40),
    "no digest": lambda plain: _first(plain).update(digest="zz"),
    "control characters in a name": lambda plain: plain["outcomes"][0]["backend"].update(name="\x1b[2J"),
    "failed, and yet measured": lambda plain: plain["outcomes"][0].update(status="crashed"),
    "ran, and nothing measured": lambda plain: plain["outcomes"][0].update(reproductions=[]),
    "segments alone": lambda plain: plain["outcomes"][0].update(
        reproductions=plain["outcomes"][0]["reproductions"][-3:]
    ),
    "an odd verdict": lambda plain: _first(plain).update(tolerance="accepted"),
    "no machine": lambda plain: plain.update(machine=""),
}


@pytest.mark.parametrize("edit", HOSTILE)
def test_hostile_results_are_refused_in_one_line(results: Results, edit: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(_edited(results, HOSTILE[edit]))
    with pytest.raises(UsageError, match="no results of pol backends") as refused:
        read_results(tmp_path / "results.json")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"1e999", b'{"a": 1, "a": 1}']
)
def test_what_is_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(UsageError, match="no results of pol backends"):
        read_results(tmp_path / "results.json")


def test_large_missing_and_odd_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="can't be read: No such file"):
        read_results(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="can't be read"):
        read_results(tmp_path)
    monkeypatch.setattr(results_file, "_MOST_BYTES", 10)
    (tmp_path / "large").write_bytes(b"{" + b" " * 10)
    with pytest.raises(UsageError, match="more than 10 bytes"):
        read_results(tmp_path / "large")


def test_text_of_strangers_is_text(results: Results) -> None:
    plain = outcome(results, "cuda")
    strange = replace(results, machine="[red]\x1b[31m\n", outcomes=(replace(plain, reason="[bold]\x07 \u202e"),))
    text = shown((strange,))
    assert "[red]" in text
    assert "[bold]" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


# --- the command and the script ----------------------------------------------------------------------------------


def pol(*arguments: str | Path) -> Any:
    return CliRunner().invoke(cli.pol, ["backends", *map(str, arguments)])


def one_more(folder: Path) -> Path:
    """A file with one backend, which costs one process."""
    path = folder / "more.toml"
    path.write_text(
        '[[backend]]\nname = "one more"\nplatform = "cpu"\nxla_flags = ["--xla_backend_optimization_level=0"]\n'
    )
    return path


def test_a_proof_under_a_backend_of_one_s_own(plain_proof: Path, tmp_path: Path) -> None:
    chosen = ("--task", "tiny:plain", "--config", one_more(tmp_path), "--only", "one more")
    found = pol(plain_proof, *chosen, "--out", tmp_path / "out", "--d-ref", "2", "--machine", "my machine")
    assert found.exit_code == 0, found.output
    assert "my machine" in found.output
    assert "/d_ref" in found.output
    read = read_results(tmp_path / "out" / "results.json")
    assert [each.backend.name for each in read.outcomes] == ["one more"]
    segment = range(tiny.STEPS // 2 + 1, tiny.STEPS // 2 + 11)
    assert [each.stop for each in read.outcomes[0].of("step")] == [1, *segment, tiny.STEPS]
    assert [each.stop for each in read.outcomes[0].of("segment")] == list(segment)
    rows = pq.read_table(tmp_path / "out" / "results.parquet")
    assert rows.column("l2_over_d_ref")[0].as_py() == rows.column("l2")[0].as_py() / 2


def test_where_nothing_runs_nothing_is_said(opening: Opening, tmp_path: Path) -> None:
    """As for who has an opening, and asks for an accelerator that is not there."""
    write_opening(tmp_path / "opening", opening)
    found = pol("--opening", tmp_path / "opening", "--only", "cuda", "--out", tmp_path / "out")
    assert found.exit_code == 3
    assert "no backend ran: nothing was measured" in found.output
    assert "no figures" in found.output
    rows = pq.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert len(rows) == sum(each.platform == "cuda" for each in built_in())
    assert {row["status"] for row in rows} == {"missing"}


def test_ranges() -> None:
    assert ranges([3, 1, 2, 7, 9, 10, 9]) == "1-3,7,9-10"
    assert ranges([]) == ""


def test_results_here_are_no_verdict_on_a_machine_that_can_t_regenerate(
    plain_proof: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Opening:
        raise BackendError("this machine can't regenerate the run: the replay of step 3 differs from the ledger")

    monkeypatch.setattr("pol_jax.cli.backends.open_steps", refuse)
    found = pol(plain_proof, "--task", "tiny:plain")
    assert isinstance(found.exception, BackendError)
    assert "take the prover's opening" in str(found.exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give one PROOF, or --opening FILE"),
        (("a", "b"), "give one PROOF, or --opening FILE"),
        (("a", "--opening", "b"), "give one PROOF, or --opening FILE"),
        (("--merge",), "which results files"),
        (("--merge", "a", "--steps", "1"), "--steps: has no meaning with --merge"),
        (("nowhere",), "nowhere"),
        (("--opening", "nowhere"), "no such file"),
        (("nowhere", "--only", "gpu"), "no backend is called"),
        (("nowhere", "--config", "nowhere.toml"), "can't be read"),
    ],
)
def test_wrong_calls_are_told_in_one_line(arguments: tuple[str, ...], words: str) -> None:
    found = pol(*arguments)
    assert isinstance(found.exception, UsageError), found.output
    assert words in str(found.exception)


BARE = """
import runpy, sys
class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Bare())
sys.argv[1:] = {arguments!r}
runpy.run_path({script!r}, run_name="__main__")
"""
ABSENT = {
    "pyarrow",
    "orbax",
    "rich",
    "click",
    "matplotlib",
    "flax",
    "optax",
    "sklearn",
    "tensorflow_datasets",
    "PIL",
    "plotext",
    "cryptography",
}


def bare(absent: set[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The script where only so much is installed."""
    code = BARE.format(absent=absent, arguments=[str(each) for each in arguments], script=str(SCRIPT))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_bare_machine_needs_the_opening_alone(opening: Opening, results: Results, tmp_path: Path) -> None:
    write_opening(tmp_path / "opening", opening)
    options = ("--config", one_more(tmp_path), "--only", "one more", "cuda")
    done = bare(ABSENT, tmp_path / "opening", "--out", tmp_path / "r.json", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cuda: missing: ")
    assert (
        f"one more: ran: {sum(each.exact for each in outcome(results, 'cpu, no optimisation').of('step'))} of 5"
        in done.stdout
    )
    here = tmp_path / "here.json"
    write_results(here, results)
    found = pol("--merge", tmp_path / "r.json", here, "--out", tmp_path / "joined")
    assert found.exit_code == 0, found.output
    assert "one more [1]" in found.output
    names = {path.name for path in (tmp_path / "joined").iterdir()}
    assert {"results.parquet", "results.csv", "steps.png"} <= names
    assert "results.json" not in names


@pytest.mark.parametrize("package", ["msgspec", "blake3"])
def test_a_bare_machine_is_told_what_it_lacks(package: str, tmp_path: Path) -> None:
    done = bare({package}, tmp_path / "opening", "--out", tmp_path / "r.json")
    assert done.returncode == 2
    assert done.stderr.startswith(f"compare_backends: {package} is not installed: pip install ")
    assert len(done.stderr.splitlines()) == 1
