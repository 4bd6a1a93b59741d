"""Is a proof's program the one that the verifier exports from source that it trusts?"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import jax
import pytest
import tiny
import unsandboxed
from click.testing import CliRunner
from forge import Forger, refused
from slower import slower

import pol_jax
from pol_jax.cli.main import pol
from pol_jax.errors import TaskError, UsageError
from pol_jax.program.artifact import Artifacts, artifact_digests
from pol_jax.program.machine import current_environment
from pol_jax.progress import Silent
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.policies import AllSegments, ListedSteps
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import write_commitment
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.provenance import Origin
from pol_jax.reports.report import Report
from pol_jax.storage.openings import write_opening
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.task import Task, load_task
from pol_jax.verifying import trusted_program as origin
from pol_jax.verifying.trusted_program import Expected, Trusted, origin_of, trust

PRNG = "threefry2x32"

load_once = cache(load_task)


@pytest.fixture
def _loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a built-in task the same functions each time, so that it is exported once."""
    for module in ("cli.cures", "verifying.built_in_records", "verifying.trusted_program"):
        monkeypatch.setattr(f"pol_jax.{module}.load_task", load_once)


def check(path: Path, trusted: Trusted, **changes: Any) -> Report:
    return unsandboxed.verify(path, tiny.plain().source, trusted=trusted, **changes)


def test_a_proof_of_the_same_source_is_accepted_byte_for_byte(plain_proof: Path) -> None:
    report = check(plain_proof, trust(tiny.plain()), same_program=True)
    assert report.verdict is Verdict.ACCEPTED
    assert report.program_origin is Origin.TRUSTED
    assert "byte for byte" in report.stages[2].detail


def test_without_a_trusted_source_nothing_is_compared(plain_proof: Path) -> None:
    report = unsandboxed.verify(plain_proof, tiny.plain().source)
    assert report.program_origin is Origin.NOT_COMPARED
    with pytest.raises(UsageError, match="no trusted source"):
        unsandboxed.verify(plain_proof, tiny.plain().source, same_program=True)


def test_another_program_is_accepted_on_request_only(plain_proof: Path) -> None:
    """A true replay of another program; the report says that it is another."""
    report = check(plain_proof, trust(slower()))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].startswith("stage 3, commitment: program: programs differ from those of the trusted")
    assert report.program_origin is Origin.DIFFERS
    report = check(plain_proof, trust(slower()), any_program=True)
    assert report.verdict is Verdict.ACCEPTED
    assert report.program_origin is Origin.DIFFERS
    assert "programs differ from those of the trusted source" in report.stages[2].detail


def test_the_program_may_be_that_of_one_of_several_tasks(plain_proof: Path) -> None:
    report = check(plain_proof, trust(slower(), tiny.plain()), same_program=True)
    assert (report.verdict, report.program_origin) == (Verdict.ACCEPTED, Origin.TRUSTED)


def refusing(commitment: Commitment, steps: int) -> Task:
    raise TaskError("it has no program for so many steps")


def test_a_task_that_has_no_program_for_the_steps_of_a_run_may_have_one_for_its_own(plain_proof: Path) -> None:
    """A multi-step task that is made with the number of calls in the place of steps has none, for instance."""
    report = check(plain_proof, trust(refusing, lambda commitment, steps: tiny.plain()), same_program=True)
    assert (report.verdict, report.program_origin) == (Verdict.ACCEPTED, Origin.TRUSTED)


def whole_batches(state: Any, batch: Any, key: Any) -> Any:
    assert len(batch["x"]) == 2 * tiny.BATCH
    return tiny.plain().step(state, batch, key)


WHOLE = dataclasses.replace(tiny.plain(), step=whole_batches, batch_size=2 * tiny.BATCH)


def test_no_choice_of_a_prover_ends_a_comparison_without_a_verdict(plain_proof: Path) -> None:
    """A task may have no program for the number of records that a prover commits to."""
    report = check(plain_proof, trust(WHOLE), same_program=True)
    refused(report, 3, "program", "differ from those of the trusted source")
    report = check(plain_proof, trust(refusing, lambda commitment, steps: WHOLE))
    assert (report.verdict, report.program_origin) == (Verdict.INCONCLUSIVE, Origin.DIFFERS)


def test_a_source_that_is_broken_says_nothing_about_a_proof(plain_proof: Path) -> None:
    def broken(state: Any, batch: Any, key: Any) -> Any:
        raise ValueError("a mistake of the verifier's own")

    with pytest.raises(TaskError, match="a mistake of the verifier's own"):
        check(plain_proof, trust(dataclasses.replace(tiny.plain(), step=broken)))


def test_a_program_that_was_not_compared_is_told_first(plain_proof: Path) -> None:
    for trusted in (None, lambda commitment, steps: None):
        report = unsandboxed.verify(plain_proof, tiny.plain().source, trusted=trusted)
        assert report.verdict is Verdict.ACCEPTED
        assert report.reasons[0] == "program: not compared with any source"


def named(path: Path, task: Task) -> Path:
    """The proof of a short run of a task that calls itself by a built-in name."""
    train(dataclasses.replace(task, name="digits"), path, steps=4, choices=Choices(interval=2))
    return path


@pytest.mark.usefixtures("in_process", "_loaded_once")
def test_a_proof_that_names_a_built_in_task_is_compared_with_it(tmp_path: Path) -> None:
    """Whether its learning rate follows the steps of the run or the task's own; and nothing else has that name."""
    for steps in (None, 4):
        task = load_once("digits", data_dir=None, **({} if steps is None else {"steps": steps}))
        report = pol_jax.verify(named(tmp_path / f"{steps}", task), policy=AllSegments())
        assert (report.verdict, report.program_origin) == (Verdict.ACCEPTED, Origin.TRUSTED), report.reasons

    def pulled(state: Any, batch: Any, key: Any) -> Any:
        new, metrics = task.step(state, batch, key)
        return new._replace(params=jax.tree.map(lambda leaf: 0.8 * leaf, new.params)), metrics

    other = named(tmp_path / "other", dataclasses.replace(task, step=pulled))
    report = pol_jax.verify(other, policy=AllSegments())
    assert (report.verdict, report.program_origin) == (Verdict.INCONCLUSIVE, Origin.DIFFERS)
    assert "program: programs differ from those of the trusted source" in report.reasons[0]
    commands = ["verify", str(other), "--all"]
    for options, code in (([], 3), (["--task", "digits"], 3), (["--any-program"], 0)):
        done = CliRunner().invoke(pol, [*commands, *options])
        assert done.exit_code == code, done.output


@pytest.mark.parametrize("renamed", ["state", "record", "metrics"])
def test_a_trusted_program_with_other_names_is_another_one(renamed: str, proof_copy: Path) -> None:
    """A program works on lists of arrays: what they are called, such as "params", is in the commitment alone."""
    forger = Forger(proof_copy)

    def rename(plain: Any) -> None:
        if renamed == "metrics":
            plain["program"]["metrics"] = ["a", "loss"]  # the norm is the loss now
        else:
            for leaf in plain["state"] if renamed == "state" else plain["data"]["record"]:
                leaf["path"] = "/other" + leaf["path"]

    forger.commit_to(rename)
    forger.write_documents()
    report = check(proof_copy, trust(tiny.plain()), same_program=True)
    refused(report, 3, "program", "leaves or metrics have other names than those of the trusted source")
    assert report.program_origin is Origin.DIFFERS


def test_another_program_is_refused_on_request(plain_proof: Path) -> None:
    report = check(plain_proof, trust(slower()), same_program=True)
    refused(report, 3, "program", "differ from those of the trusted source")
    assert report.program_origin is Origin.DIFFERS


@pytest.mark.parametrize("same_program", [False, True])
def test_the_program_of_an_opening_is_compared_too(
    same_program: bool, opening: Opening, plain_proof: Path, tmp_path: Path
) -> None:
    write_opening(tmp_path / "opening", opening)
    arguments: Any = (plain_proof, tmp_path / "opening", ListedSteps((8,)))
    same = unsandboxed.verify_opening(*arguments, trusted=trust(tiny.plain()), same_program=same_program)
    assert (same.verdict, same.program_origin) == (Verdict.ACCEPTED, Origin.TRUSTED)
    other = unsandboxed.verify_opening(*arguments, trusted=trust(slower()), same_program=same_program)
    assert other.program_origin is Origin.DIFFERS
    if same_program:
        refused(other, 3, "program", "differ from those of the trusted source")
        with pytest.raises(UsageError, match="no trusted source"):
            unsandboxed.verify_opening(*arguments, same_program=True)
    else:
        assert other.verdict is Verdict.INCONCLUSIVE
        assert unsandboxed.verify_opening(*arguments, trusted=trust(slower()), any_program=True)
        assert "programs differ from those of the trusted source" in other.stages[2].detail


def test_a_task_for_an_opening_on_the_command_line(
    in_process: None, opening: Opening, plain_proof: Path, tmp_path: Path
) -> None:
    write_opening(tmp_path / "opening", opening)
    command = ["verify", str(plain_proof / "claim.json"), "--opening", str(tmp_path / "opening"), "--steps", "8"]
    for options, code, words in (
        (["--task", "tiny:plain", "--same-program"], 0, "accepted"),
        (["--task", "slower:slow_task", "--same-program"], 1, "differ from those of the trusted source"),
        (["--task", "slower:slow_task"], 3, "differ from those of the trusted source"),
        (["--task", "slower:slow_task", "--any-program"], 0, "accepted"),
    ):
        done = CliRunner().invoke(pol, [*command, *options])
        assert done.exit_code == code, done.output
        assert words in " ".join(done.stdout.split())
    alone = CliRunner().invoke(pol, [*command, "--same-program"])
    assert isinstance(alone.exception, UsageError)


def test_another_program_under_another_jax_is_inconclusive(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another jax may write the same program down in other words."""
    import msgspec

    environment = msgspec.structs.replace(current_environment(), jax="99.0")
    monkeypatch.setattr("pol_jax.verifying.interruption.current_environment", lambda: environment)
    report = check(plain_proof, trust(slower()), same_program=True)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.stages[2].outcome is Outcome.INCONCLUSIVE
    assert "another jax" in report.reasons[0]


def test_export_takes_schedule_and_steps_of_the_proof(tmp_path: Path) -> None:
    """Batch size and PRNG from the commitment, and the number of steps, which a program may depend on."""
    asked = []

    def scaled(commitment: Commitment | None, steps: int) -> Task:
        asked.append(steps)
        task = tiny.nested()

        def step(state: Any, batch: Any, key: Any) -> Any:
            new, metrics = task.step(state, batch, key)
            return state + (new - state) / steps, metrics

        return dataclasses.replace(task, step=step, batch_size=7)

    own = dataclasses.replace(scaled(None, 3), batch_size=5)
    train(own, tmp_path / "proof", steps=3, choices=Choices(prng="rbg"))
    report = unsandboxed.verify(tmp_path / "proof", own.source, trusted=trust(scaled), same_program=True)
    assert report, report.reasons
    assert asked == [3, 3]


@pytest.mark.usefixtures("_loaded_once")
def test_a_run_that_stopped_early_has_the_program_that_it_began_with(tmp_path: Path) -> None:
    """A rate that falls over the committed steps falls as slowly in a run that had fewer."""
    path, choices = tmp_path / "proof", Choices(interval=2, seed="early", may_stop_early=True)
    path.mkdir()
    task = load_once("digits", data_dir=None, steps=8)
    write_commitment(path, task, choices, Silent(), steps=8)
    train(task, path, steps=4, choices=choices)
    report = pol_jax.verify(path, policy=AllSegments())
    assert report.program_origin is Origin.TRUSTED, report.reasons
    assert report.verdict is Verdict.ACCEPTED
    assert report.may_stop_early


def test_same_text_in_other_bytes_is_the_same_program() -> None:
    artifacts = export_task(tiny.nested(), signature_of(tiny.nested(), PRNG))
    true = trusted_digests(artifacts)
    other = Expected(("0" * 64, "0" * 64), true.texts, true.names)
    assert origin_of(artifacts, "names", true)[0] is Origin.TRUSTED
    assert origin_of(artifacts, "names", other) == (
        Origin.TRUSTED,
        "programs have the text of those of the trusted source",
    )
    for texts in ((true.texts[0], "0" * 64), ("0" * 64, true.texts[1])):
        assert origin_of(artifacts, "names", Expected(other.artifacts, texts, true.names))[0] is Origin.DIFFERS
    assert origin_of(artifacts, "other names", other)[0] is Origin.DIFFERS


def test_text_has_no_names_of_places() -> None:
    """The same function on other lines of another file."""
    limit = jax.config.jax_traceback_in_locations_limit  # type: ignore[attr-defined, unused-ignore]
    texts = []
    for places in (0, 10):
        jax.config.update("jax_traceback_in_locations_limit", places)
        exported = jax.export.export(jax.jit(lambda x: x * 2), platforms=("cpu",))(jax.ShapeDtypeStruct((), "float32"))
        texts.append((bytes(exported.serialize()), origin._text(bytes(exported.serialize()))))
    jax.config.update("jax_traceback_in_locations_limit", limit)
    assert texts[0][0] != texts[1][0]
    assert texts[0][1] == texts[1][1]


def test_text_tells_which_arguments_are_taken() -> None:
    """The same module over other arguments is another program."""
    number = jax.ShapeDtypeStruct((), "float32")
    first, second = (
        jax.export.export(jax.jit(function), platforms=("cpu",))(number, number)
        for function in (lambda x, y: x * 2, lambda x, y: y * 2)
    )
    texts = [origin._text(bytes(each.serialize())) for each in (first, second)]
    assert texts[0] != texts[1]


@pytest.mark.usefixtures("in_process")
def test_comparison_crosses_the_pipe(plain_proof: Path) -> None:
    """The caller exports, the child compares."""
    same = pol_jax.verify(plain_proof, tiny.plain().source, trusted=tiny.plain())
    assert (same.verdict, same.program_origin) == (Verdict.ACCEPTED, Origin.TRUSTED)
    other = pol_jax.verify(
        plain_proof, tiny.plain().source, trusted=lambda commitment, steps: slower(), same_program=True
    )
    refused(other, 3, "program", "differ")


@pytest.mark.usefixtures("in_process")
def test_the_command_line_compares_the_program(plain_proof: Path) -> None:
    command = ["verify", str(plain_proof), "--segments", "0", "--task"]
    same = CliRunner().invoke(pol, [*command, "tiny:plain", "--same-program"])
    assert (same.exit_code, "program: trusted source" in same.output) == (0, True), same.output
    other = CliRunner().invoke(pol, [*command, "slower:slow_task"])
    assert (other.exit_code, "program: differs from the trusted source" in other.output) == (3, True), other.output
    other = CliRunner().invoke(pol, [*command, "slower:slow_task", "--any-program"])
    assert (other.exit_code, "program: differs from the trusted source" in other.output) == (0, True), other.output
    other = CliRunner().invoke(pol, [*command, "slower:slow_task", "--same-program"])
    assert (other.exit_code, "stage 3, commitment: program" in other.output) == (1, True), other.output
    unsaid = CliRunner().invoke(pol, [*command[:-1], "--same-program"])
    assert isinstance(unsaid.exception, UsageError)


def test_artifacts_are_compared_as_a_pair() -> None:
    artifacts = export_task(tiny.plain(), signature_of(tiny.plain(), PRNG))
    expected = trusted_digests(artifacts)
    swapped = Artifacts(artifacts.step, artifacts.init)
    assert origin_of(swapped, "names", expected)[0] is Origin.DIFFERS


def trusted_digests(artifacts: Artifacts) -> Expected:
    return Expected(artifact_digests(artifacts), origin._text_digests(artifacts), "names")
