"""Settings and shared proofs of the tests."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

# One thread for each product of matrices: others do nothing but wait for each other, where each processor has a test.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
gc.disable()  # until all is imported, which leaves no garbage and millions of objects to look at

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS), str(TESTS.parent / "scripts")]  # task names such as tiny:plain, and modules of scripts

from type_checks import check_annotations, forget_functions  # noqa: E402

if "POL_UNCHECKED_ANNOTATIONS" not in os.environ:  # one interpreter checks them for all
    check_annotations()

import forked_children  # noqa: E402
import intervened_runs  # noqa: E402
import once  # noqa: E402
import stored_programs  # noqa: E402
import tiny  # noqa: E402
import unsandboxed  # noqa: E402
from fine_tuned import WEIGHTS, tune  # noqa: E402
from forge import Forger  # noqa: E402
from in_process import reading_thread, serving_thread  # noqa: E402
from opened_steps import SOURCE, STEPS  # noqa: E402
from programs import needs  # noqa: E402
from timestamp_authority import Authority  # noqa: E402
from unsandboxed import verify  # noqa: E402

from pol_jax.errors import StorageError  # noqa: E402
from pol_jax.files import user_cache  # noqa: E402
from pol_jax.program.machine import describe_processors  # noqa: E402
from pol_jax.protocol.encoding import artifact_digest  # noqa: E402
from pol_jax.protocol.opening import Opening  # noqa: E402
from pol_jax.protocol.policies import AllSegments, ListedSteps  # noqa: E402
from pol_jax.proving.choices import Choices  # noqa: E402
from pol_jax.proving.opener import open_steps  # noqa: E402
from pol_jax.proving.train import train  # noqa: E402
from pol_jax.proving.witness_interval import Costs  # noqa: E402
from pol_jax.reports.report import Report  # noqa: E402
from pol_jax.sandbox.compiled_programs import prune  # noqa: E402
from pol_jax.storage.openings import write_opening  # noqa: E402
from pol_jax.storage.proof import open_proof  # noqa: E402

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")

Verify = Callable[..., Report]


MAY_DIFFER = (
    "protocol/",
    "program/test_artifact.py",
    "program/test_dataflow.py",
    "program/test_operations.py",
    "program/test_stablehlo.py",
    "training/",
    "storage/",
    "judging/test_tolerance.py",
    "proving/test_fine_tuning.py",
    "proving/test_interventions.py",
    "tasks/test_contract.py",
    "verifying/test_calibration.py",
    "verifying/test_numeric_comparison.py",
    "verifying/test_compilations.py",
    "verifying/test_opening_verifier.py",
    "verifying/test_proof_verifier.py",
    "test_frozen.py",
)
"""Tests that another interpreter, or the jax that it has, may decide otherwise: formats, programs, states, numbers.

Others say so themselves: ``@pytest.mark.interpreter``.
"""

WAITING = ("proving/test_pods.py", "test_notebooks.py", "cli/test_interrupted_train.py", "backends/")

MOST_MAPPINGS = 25_000


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let a worker that has nothing left take over tests of another: some take a hundred times as long as most."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


def pytest_xdist_auto_num_workers() -> int:
    """One more than processors: some tests wait for other processes most of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Read no file without such a test, where these alone are asked for: to import them all takes seconds."""
    if config.option.markexpr != "interpreter" or not collection_path.match("test_*.py"):
        return None
    if collection_path.relative_to(TESTS).as_posix().startswith(MAY_DIFFER):
        return None
    return True if "mark.interpreter" not in collection_path.read_text(encoding="utf-8") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark those; what waits most comes first, beside all that computes."""
    items.sort(key=lambda item: not item.path.relative_to(TESTS).as_posix().startswith(WAITING))
    for item in items:
        if item.path.relative_to(TESTS).as_posix().startswith(MAY_DIFFER):
            item.add_marker(pytest.mark.interpreter)


def pytest_configure() -> None:
    """Compile a program once: for all tests, for all processes that run them or that they start, and for later runs.

    One folder for each version of jax and kind of processor, for which XLA compiles. XLA's own caches are off, as they
    are in the sandbox's child: with one of them on, every key names its folder, and the child would find nothing here.
    """
    kind = artifact_digest("processors", describe_processors().encode()).hex()[:16]
    try:
        folder = user_cache() / "tests" / f"jax-{jax.__version__}-{kind}"
        folder.mkdir(parents=True, exist_ok=True)
        prune(folder, 2**30)
    except (OSError, StorageError):  # no home to keep it in
        folder = Path(tempfile.mkdtemp(prefix="pol-tests-"))
    directory = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    stored_programs.folder = folder
    jax.config.update("jax_compilation_cache_dir", directory)
    settings = {"min_compile_time_secs": 0, "min_entry_size_bytes": -1, "enable_xla_caches": "none"}
    for name, value in settings.items():
        os.environ.setdefault(f"JAX_PERSISTENT_CACHE_{name.upper()}", str(value))
        jax.config.update(f"jax_persistent_cache_{name}", value)


def pytest_collection_finish() -> None:
    """Look for garbage among what tests make, not among what was imported: jax alone leaves half a million objects.

    Among new objects a tenth as often as by default, for jax looks at its own garbage each time too; among old ones
    nearly as often, for garbage holds compiled programs, of which a process has room for so many.
    """
    gc.freeze()
    gc.set_threshold(7000, 10, 2)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _once() -> Iterator[None]:
    """Export a task, and load and compile a program, once in this process (`once`)."""
    with once.repeating_nothing():
        yield


@pytest.fixture(scope="session", autouse=True)
def _digests_take_no_time() -> Iterator[None]:
    """Let the default witness interval be 1, however busy this machine is: it follows from a measurement.

    Two runs with the same seed would have two claims. tests/proving/test_witness_interval.py tests the measurement.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pol_jax.proving.commit.measure", lambda *_: Costs(step=0.0, waiting=0.0))
        yield


@pytest.fixture
def in_orbax(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show each checkpoint to Orbax, whatever it was shown before."""
    monkeypatch.setattr("pol_jax.storage.stored_leaves._check_in_orbax", once.check_in_orbax)


@pytest.fixture(scope="module", autouse=True)
def _room_for_programs() -> Iterator[None]:
    """Forget compiled programs before they are too many: each takes mappings of memory, of which Linux allows 65,530.

    XLA ends the process, without a word, where it gets no more.
    """
    yield
    forget_functions()
    with suppress(OSError), open("/proc/self/maps", "rb") as mappings:
        if mappings.read().count(b"\n") > MOST_MAPPINGS:
            once.forget_programs()
            jax.clear_caches()
            gc.collect()


@pytest.fixture(scope="session")
def plain_proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished proof of `tiny.plain`; tests copy it before they change anything."""
    path = tmp_path_factory.mktemp("plain") / "proof"
    train(tiny.plain(), path, steps=tiny.STEPS, choices=Choices(interval=tiny.INTERVAL, seed="tests"))
    return path


@pytest.fixture(scope="session")
def long_segment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one segment, which is longer than the self-test."""
    path = tmp_path_factory.mktemp("long") / "proof"
    train(tiny.plain(), path, choices=Choices(interval=tiny.STEPS))
    return path


@pytest.fixture(scope="session")
def intervened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof whose state was changed from outside the program."""
    path = tmp_path_factory.mktemp("intervened") / "proof"
    intervened_runs.train(path)
    return path


@pytest.fixture
def proof_copy(plain_proof: Path, tmp_path: Path) -> Path:
    """A copy of `plain_proof` that a test may damage."""
    return Path(shutil.copytree(plain_proof, tmp_path / "proof"))


@pytest.fixture(scope="session")
def verify_plain() -> Callable[..., Report]:
    """Verify a proof of `tiny.plain`: every segment, with the true records, unless told otherwise."""

    def verify_it(path: Path, **changes: Any) -> Report:
        arguments: dict[str, Any] = {
            "source": tiny.plain().source,
            "policy": AllSegments(),
            "nonce": tiny.NONCE,
        } | changes
        return verify(path, arguments.pop("source"), **arguments)

    return verify_it


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory, plain_proof: Path) -> Path:
    """A chain base, child, grandchild; and one from weights, unproven, grown."""
    folder = tmp_path_factory.mktemp("chain")
    shutil.copytree(plain_proof, folder / "base")
    tune(folder / "child", open_proof(folder / "base"))
    tune(folder / "grandchild", open_proof(folder / "child"), "")
    tune(folder / "unproven", WEIGHTS)
    tune(folder / "grown", open_proof(folder / "unproven"))
    return folder


@pytest.fixture
def child(chain: Path, tmp_path: Path) -> Forger:
    """A copy of the child that a test may change."""
    return Forger(Path(shutil.copytree(chain / "child", tmp_path / "copy")))


@pytest.fixture
def verify_chain(chain: Path, verify_plain: Verify) -> Verify:
    """Verify a proof with its parents, which are named by their places in `chain`."""

    def verify(path: Path, *parents: str | Path, **changes: Any) -> Report:
        return verify_plain(path, parents=[chain / parent for parent in parents], **changes)

    return verify


@pytest.fixture
def forger(proof_copy: Path) -> Forger:
    return Forger(proof_copy)


@pytest.fixture(scope="session")
def opening(plain_proof: Path) -> Opening:
    return open_steps(open_proof(plain_proof), SOURCE, STEPS)


@pytest.fixture
def check_opening(plain_proof: Path, tmp_path: Path) -> Callable[..., Report]:
    """Verify an opening against the claim of `plain_proof`, alone in a directory."""

    def verify(opening: Opening, steps: tuple[int, ...] = STEPS, claim: Path | None = None) -> Report:
        write_opening(tmp_path / "opening", opening)
        shutil.copyfile((claim or plain_proof) / "claim.json", tmp_path / "a claim")
        return unsandboxed.verify_opening(tmp_path / "a claim", tmp_path / "opening", ListedSteps(steps), b"")

    return verify


@pytest.fixture(autouse=True)
def _read_in_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a thread parse what commands let a confined process parse; not in tests of that (``@pytest.mark.apart``)."""
    if not request.node.get_closest_marker("apart"):
        monkeypatch.setattr("pol_jax.sandbox.reader.reading_process", reading_thread)


@pytest.fixture(autouse=True)
def _forked_children(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the sandbox's processes from one that has imported all they need; not in tests of their start."""
    if not request.node.get_closest_marker("started"):
        monkeypatch.setattr("pol_jax.sandbox.starting.subprocess", forked_children.STARTING)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify in this process what is verified in one of its own elsewhere: where that is not what is tested."""
    monkeypatch.setattr("pol_jax.sandbox.apart.child_process", serving_thread)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A timestamping authority, where openssl is installed; tests put its files back."""
    needs("openssl")
    return Authority(tmp_path_factory.mktemp("authority") / "tsa")
