"""Everything in a proof's directory is hostile: whatever lies there, `verify` refuses it with a report.

Not here: consistent forgeries, which only the deeper stages refuse (``test_attacks.py``).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from forge import Forger, edit_document, refused, take_stock
from hypothesis import given, settings
from hypothesis import strategies as st

from pol_jax import errors
from pol_jax.program.artifact import INIT_FILE, STEP_FILE
from pol_jax.protocol.challenge import AllSegments
from pol_jax.protocol.limits import Limits
from pol_jax.proving.commit import Choices
from pol_jax.proving.recording import train
from pol_jax.reports.report import Outcome, Report, Verdict
from pol_jax.sandbox import verify as isolation
from pol_jax.storage.checkpoints import checkpoint_name, load_checkpoint
from pol_jax.storage.ledger import SCHEMA, segment_file
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.proof_verifier import _Verification, verify

Verify = Callable[..., Report]
Spelling = Callable[[bytes], bytes]


def check(root: Path, limits: Limits | None = None) -> Report:
    """Verify a proof of `tiny.plain`."""
    return verify(root, tiny.plain().source, policy=AllSegments(), nonce=b"n", limits=limits)


def files_of(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def small_proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof of 4 steps in two segments, to be damaged in place by those who mend it again."""
    path = tmp_path_factory.mktemp("small") / "proof"
    train(tiny.plain(), path, steps=4, choices=Choices(interval=2))
    return path


# --- any byte of any file ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wound:
    """A change of some bytes of a file; places are shares of the file."""

    kind: str
    place: float
    source: float
    value: int
    length: int
    bit: int

    def __call__(self, content: bytes) -> bytes:
        """The content with this change."""
        at, there = int(self.place * len(content)), int(self.source * len(content))
        middle = content[at : at + 1]
        new = {
            "flip": bytes(byte ^ 1 << self.bit for byte in middle),
            "set": bytes([self.value]),
            "insert": bytes([self.value]) + middle,
            "delete": b"",
            "cut": b"",
            "copy": content[there : there + self.length],
        }
        lost = {"cut": len(content), "copy": self.length}.get(self.kind, 1)
        return content[:at] + new[self.kind] + content[at + lost :]


SHARE = st.integers(0, 2**24 - 1).map(lambda number: number / 2**24)
WOUNDS = st.builds(
    Wound,
    kind=st.sampled_from(["flip", "set", "insert", "delete", "cut", "copy"]),
    place=SHARE,
    source=SHARE,
    value=st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255),
    length=st.integers(1, 16),
    bit=st.integers(0, 7),
)


class Damaged:
    """A file with other bytes, until the end of the block."""

    def __init__(self, root: Path, name: str, new: bytes) -> None:
        self._path, self._new = root / name, new

    def __enter__(self) -> None:
        self._old = self._path.read_bytes()
        self._path.write_bytes(self._new)

    def __exit__(self, *_: object) -> None:
        self._path.write_bytes(self._old)


def refused_by_inventory(root: Path, name: str, new: bytes) -> None:
    """A file that differs from its digest is refused in stage 2, by its name; the inventory itself by any name."""
    with Damaged(root, name, new):
        report = check(root)
    refused(report, 2, "" if name == "inventory.json" else name)


def test_first_middle_and_last_byte_of_every_file(small_proof: Path) -> None:
    cases = 0
    for name in files_of(small_proof):
        content = (small_proof / name).read_bytes()
        refused_by_inventory(small_proof, name, content + b"\0")
        for at in sorted({0, len(content) // 2, len(content) - 1}) if content else ():
            before, byte, after = content[:at], content[at], content[at + 1 :]
            changed = [bytes([byte ^ bit]) for bit in (1, 0x20, 0x80)] + [b"", b"\0" * 2, bytes([byte]) * 2]
            for new in (*changed, b"\0" if byte else b"\xff"):
                refused_by_inventory(small_proof, name, before + new + after)
                cases += 1
            refused_by_inventory(small_proof, name, before)
    assert cases > 400
    assert check(small_proof)


@settings(max_examples=1200)
@given(data=st.data())
def test_any_byte_of_any_file(small_proof: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(files_of(small_proof)))
    content = (small_proof / name).read_bytes()
    new = data.draw(WOUNDS)(content)
    if new != content:
        refused_by_inventory(small_proof, name, new)


# --- the same, with an inventory made by the attacker ------------------------------------------------------------


@pytest.fixture
def until_stage_6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification ends before the replay: all that a replay starts from is there and checked."""
    monkeypatch.setattr(_Verification, "_judge", lambda *_: None)


def same_meaning(root: Path, name: str, original: Forger) -> bool:
    """Whether a proof that was changed in one file still says the same, but for where it ran."""
    proof = open_proof(root)
    environment = proof.claim.environment if proof.claim else None
    same = proof.commitment == original.commitment and list(proof.rows()) == original.rows
    if name.startswith("checkpoints/"):
        step = int(name.split("/")[1])
        pairs = zip(load_checkpoint(root, step, proof.commitment.state), original.states[step], strict=True)
        same = same and all((x.tobytes(), x.dtype, x.shape) == (y.tobytes(), y.dtype, y.shape) for x, y in pairs)
    return same and proof.claim == msgspec.structs.replace(original.claim, environment=environment)


def refused_or_the_same(root: Path, name: str, new: bytes, original: Forger) -> bool:
    """Whether a changed file was refused, by its stage; if not, everything that it means is unchanged."""
    inventory = (root / "inventory.json").read_bytes()
    with Damaged(root, name, new):
        try:
            take_stock(root)
            report = check(root)
            passed = [stage.outcome for stage in report.stages[:6]] == [Outcome.PASSED] * 6
            assert not passed or same_meaning(root, name, original), name
        finally:
            (root / "inventory.json").write_bytes(inventory)
    if not passed and name == "claim.json":  # its fields are held against the commitment and the ledger
        refused(report, next(stage.number for stage in report.stages[1:4] if stage.outcome is Outcome.FAILED))
    elif not passed:
        folder, *rest = name.split("/")
        where = {"checkpoints": "/".join([folder, *rest[:1]]), "ledger": "ledger"}.get(folder, name)
        refused(report, stage_of(name), where)
    return not passed


def stage_of(name: str) -> int:
    """The stage that reads a file's meaning."""
    stages = {"claim.json": 2, "commitment.json": 3, "records": 3, "program": 3, "ledger": 4, "checkpoints": 6}
    return stages[name.split("/")[0]]


KINDS = {"claim.json": 100, "commitment.json": 100, "records": 15, "program": 15, "ledger": 80, "checkpoints": 50}
"""How many cases for the files of a kind."""


@pytest.mark.usefixtures("until_stage_6")
@pytest.mark.parametrize("kind", KINDS)
def test_any_byte_with_an_inventory_to_match(small_proof: Path, kind: str) -> None:
    names = [name for name in files_of(small_proof) if name.split("/")[0] == kind]
    original, count = Forger(small_proof), 0

    @settings(max_examples=KINDS[kind])
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        nonlocal count
        name = data.draw(st.sampled_from(names))
        content = (small_proof / name).read_bytes()
        new = data.draw(WOUNDS)(content)
        if new != content:
            count += refused_or_the_same(small_proof, name, new, original)

    run()
    assert count > 5


@pytest.mark.usefixtures("until_stage_6")
def test_ledger_bytes_without_checksums(small_proof: Path, tmp_path: Path) -> None:
    """The attacker leaves the page checksums out, so that damage reaches the decoders."""
    root = Path(shutil.copytree(small_proof, tmp_path / "proof"))
    path, original = root / segment_file(1), Forger(root)
    table = pq.read_table(path)
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=False)
    take_stock(root)
    content = path.read_bytes()

    @settings(max_examples=60)
    @given(wound=WOUNDS)
    def run(wound: Wound) -> None:
        refused_or_the_same(root, segment_file(1), wound(content), original)

    run()


PROGRAM_CASES = """
import sys
sys.path.insert(0, sys.argv[2])
import test_hostile
test_hostile.damage_programs(test_hostile.Path(sys.argv[1]))
"""


def damage_programs(root: Path) -> None:
    """Commit to damaged step programs, one after the other; each is refused. Runs in a process of its own."""
    content, seeds = (root / STEP_FILE).read_bytes(), range(25)
    for seed in seeds:
        print("seed", seed, flush=True)
        at = (seed * 7919 * 31) % len(content)
        forger = Forger(root)
        forger.commit_to_step_program(content[:at] + bytes([content[at] ^ 1 << seed % 8]) + content[at + 1 :])
        forger.write_documents()
        report = check(root)
        assert report.verdict is Verdict.REJECTED, (seed, report.reasons)
        (root / STEP_FILE).write_bytes(content)
    print("done", flush=True)


def test_damaged_programs_that_are_committed_to(small_proof: Path, tmp_path: Path) -> None:
    """In a process of its own: the parser of StableHLO bytecode is not made for hostile bytes and may crash."""
    root = Path(shutil.copytree(small_proof, tmp_path / "proof"))
    command = [sys.executable, "-c", PROGRAM_CASES, str(root), str(Path(__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if result.returncode == -signal.SIGSEGV:  # jaxlib 0.10: what a verifier's caller sees of it
        report = isolation.verify(root, tiny.plain().source)
        assert report.verdict is Verdict.INCONCLUSIVE
        assert "stage 3, commitment: cannot judge here" in report.reasons[0]
        assert "died of SIGSEGV" in report.reasons[0]
        return
    assert (result.returncode, result.stdout[-5:]) == (0, "done\n"), result.stdout[-20:] + result.stderr[-2000:]


# --- which files there are ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["commitment.json", "claim.json", "inventory.json"])
def test_document_is_missing(proof_copy: Path, name: str) -> None:
    (proof_copy / name).unlink()
    refused(check(proof_copy), 1, name, "is missing")


def test_no_proof_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "records").write_bytes(b"")
    for path in (tmp_path, tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(errors.UsageError, match=str(path)):
            check(path)


DEEPER = {
    "records": (3, "is missing"),
    INIT_FILE: (3, "is missing"),
    STEP_FILE: (3, "is missing"),
    segment_file(0): (4, "can't be read"),
    segment_file(3): (4, "can't be read"),
    checkpoint_name(0): (6, "is missing"),
    checkpoint_name(24): (6, "is missing"),
}


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


@pytest.mark.parametrize("name", DEEPER)
def test_file_is_missing(proof_copy: Path, name: str) -> None:
    remove(proof_copy / name)
    refused(check(proof_copy), 2, name, "is missing; the inventory lists it")
    take_stock(proof_copy)
    stage, problem = DEEPER[name]
    refused(check(proof_copy), stage, name, problem)


def test_checkpoint_that_need_not_be_there(proof_copy: Path) -> None:
    """Without it, and with an inventory that says so, this is a thinned proof of the same claim."""
    remove(proof_copy / checkpoint_name(12))
    refused(check(proof_copy), 2, checkpoint_name(12), "is missing; the inventory lists it")
    take_stock(proof_copy)
    report = check(proof_copy)
    assert report, report.reasons
    assert report.coverage is not None
    assert (report.coverage.replayed, report.coverage.steps_replayed) == ((0, 1, 2, 3), 24)


@pytest.mark.parametrize("part", ["state", "state/manifest.ocdbt", "state/_METADATA", "state/d"])
def test_part_of_a_checkpoint_is_missing(proof_copy: Path, part: str) -> None:
    remove(proof_copy / checkpoint_name(12) / part)
    take_stock(proof_copy)
    refused(check(proof_copy), 6, checkpoint_name(12))


@pytest.mark.parametrize(
    ("source", "copy", "stage", "problem"),
    [
        (segment_file(3), segment_file(4), 4, "none of the 4 segments"),
        (segment_file(3), segment_file(9), 4, "none of the 4 segments"),
        (checkpoint_name(6), checkpoint_name(7), 6, "none of the schedule's"),
        (checkpoint_name(6), checkpoint_name(30), 6, "none of the schedule's"),
    ],
)
def test_one_too_many(proof_copy: Path, source: str, copy: str, stage: int, problem: str) -> None:
    (shutil.copytree if (proof_copy / source).is_dir() else shutil.copy)(proof_copy / source, proof_copy / copy)
    refused(check(proof_copy), 2, copy, "is not in the inventory")
    take_stock(proof_copy)
    refused(check(proof_copy), stage, copy, problem)


@pytest.mark.parametrize("name", [checkpoint_name(7), "checkpoints/0000000006/nothing"])
def test_empty_directory(proof_copy: Path, name: str) -> None:
    """No inventory lists directories: an empty checkpoint is refused by the schedule, one in it means nothing."""
    (proof_copy / name).mkdir()
    report = check(proof_copy)
    if name == checkpoint_name(7):
        refused(report, 6, name, "none of the schedule's")
    else:
        assert report


STRANGE = [
    b"evil.py",
    b"Records",
    b"commitment.json.tmp",
    b"journal",
    b"run.json",
    b"program/step.jax_export.bak",
    b"program/other.jax_export",
    b"ledger/0000000000.tmp",
    b"ledger/0000000000.parquet\n",
    b"ledger/000000000.parquet",
    "ledger/000000000٣.parquet".encode(),
    b"ledger/0000000004.parquet/file",
    b"checkpoints/0000000007.orbax-tmp/file",
    b"checkpoints/0000000006/a b",
    b"checkpoints/0000000006/\x1b[2J",
    b"checkpoints/0000000006/\xff\xfe",
    b"checkpoints/0000000006/\\..\\x",
    b"checkpoints/0000000006/" + b"x" * 129,
    b"checkpoints/0000000006/" + b"d/" * 8 + b"x",
    b"checkpoints/latest/x",
    b"...",
    b"..data/x",
    b" ",
]


@pytest.mark.parametrize("name", STRANGE)
def test_strange_name(proof_copy: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(proof_copy), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(os.fsdecode(path)).write_bytes(b"")
    report = check(proof_copy)
    refused(report, 1)
    shown = name.split(b"/")[-1].decode("ascii", "ignore")
    assert report.reasons[0].isprintable()
    assert shown.isprintable() is False or shown[:100] in report.reasons[0] or b"/" in name


def test_directories_without_end(proof_copy: Path) -> None:
    """Deeper than a recursion may go."""
    deep = proof_copy / "checkpoints" / "0000000006"
    here = os.open(deep, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        refused(check(proof_copy), 1, "checkpoints/0000000006/d/d")
    finally:
        subprocess.run(["rm", "-r", str(deep / "d")], check=True)  # too deep for pytest


@pytest.mark.parametrize("name", ["records", "commitment.json", "claim.json", INIT_FILE, segment_file(1), "ledger"])
@pytest.mark.parametrize("target", ["true", "dangling", "outside", "itself"])
def test_link(proof_copy: Path, tmp_path: Path, name: str, target: str) -> None:
    path, copy = proof_copy / name, tmp_path / "copy"
    path.rename(copy)
    targets = {"true": copy, "dangling": tmp_path / "nothing", "outside": Path("/etc/passwd"), "itself": path}
    path.symlink_to(targets[target])
    refused(check(proof_copy), 1, name, "is no plain file")


def test_link_among_a_checkpoints_files(proof_copy: Path, tmp_path: Path) -> None:
    path = proof_copy / checkpoint_name(6) / "state"
    path.rename(tmp_path / "state")
    path.symlink_to(tmp_path / "state")
    refused(check(proof_copy), 1, f"{checkpoint_name(6)}/state", "is no plain file")


def test_hard_link_is_a_file_like_any_other(proof_copy: Path, tmp_path: Path) -> None:
    os.link(proof_copy / "records", tmp_path / "records")
    assert check(proof_copy)


@pytest.mark.parametrize("name", ["records", "claim.json", f"{checkpoint_name(6)}/pipe"])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_blocks_a_reader(proof_copy: Path, name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (proof_copy / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(proof_copy / name)
    else:
        monkeypatch.chdir((proof_copy / name).parent)  # a socket's path has 108 bytes at most
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(Path(name).name)
    refused(check(proof_copy), 1, name, "is no plain file")


@pytest.mark.parametrize("name", ["records", "claim.json", "commitment.json", INIT_FILE, segment_file(0)])
def test_directory_in_place_of_a_file(proof_copy: Path, name: str) -> None:
    (proof_copy / name).unlink()
    (proof_copy / name).mkdir()
    refused(check(proof_copy), 1, name, "is no directory of a proof")


@pytest.mark.parametrize("name", ["program", "ledger", "checkpoints", checkpoint_name(6)])
def test_file_in_place_of_a_directory(proof_copy: Path, name: str) -> None:
    shutil.rmtree(proof_copy / name)
    (proof_copy / name).write_bytes(b"")
    refused(check(proof_copy), 1, name, "is no file of a proof")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["records", "claim.json", "ledger", "commitment.json"])
def test_unreadable(proof_copy: Path, name: str) -> None:
    (proof_copy / name).chmod(0)
    report = check(proof_copy)
    (proof_copy / name).chmod(0o700)
    refused(report, 1 if name == "ledger" else 2, name, "can't be read")


# --- sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("commitment.json", Limits().document_bytes),
        ("claim.json", Limits().document_bytes),
        ("inventory.json", Limits().document_bytes),
        ("records", Limits().records_bytes),
        (STEP_FILE, Limits().program_bytes),
        (segment_file(1), Limits().segment_bytes),
        (f"{checkpoint_name(6)}/state/_METADATA", Limits().total_bytes),
    ],
)
def test_huge_file(proof_copy: Path, name: str, limit: int) -> None:
    """Sparse: it says that it has so many bytes, and takes none. Nothing of it may be read."""
    os.truncate(proof_copy / name, limit + 1)
    refused(check(proof_copy), 1, name, f"{limit + 1} bytes, more than the limit of {limit}")


def test_many_files_of_a_fair_size(proof_copy: Path) -> None:
    sizes = [path.stat().st_size for path in proof_copy.rglob("*") if path.is_file()]
    assert check(proof_copy, Limits(total_bytes=sum(sizes)))
    refused(check(proof_copy, Limits(total_bytes=sum(sizes) - 1)), 1, "beyond the limits")


def test_too_many_files(proof_copy: Path) -> None:
    count = len(list(proof_copy.rglob("*")))
    assert check(proof_copy, Limits(files=count))
    refused(check(proof_copy, Limits(files=count - 1)), 1, "beyond the limits on the number of files")


def test_a_state_or_a_run_beyond_what_the_verifier_has_memory_for(plain_proof: Path) -> None:
    size = sum(leaf.nbytes for leaf in open_proof(plain_proof).commitment.state)
    assert check(plain_proof, Limits(state_bytes=size, steps=tiny.STEPS))
    refused(check(plain_proof, Limits(state_bytes=size - 1)), 3, "commitment.json", "state: more than the limit")
    refused(check(plain_proof, Limits(steps=tiny.STEPS - 1)), 2, "claim.json", "steps: 24, more than the limit of 23")


@pytest.mark.parametrize("name", ["claim.json", "commitment.json", "records", STEP_FILE, segment_file(0)])
def test_empty_file(proof_copy: Path, name: str) -> None:
    (proof_copy / name).write_bytes(b"")
    refused(check(proof_copy), 2, name, "has 0 bytes, the inventory says")
    take_stock(proof_copy)
    refused(check(proof_copy), stage_of(name), name)


# --- ledger files that are true Parquet --------------------------------------------------------------------------


def rewritten(root: Path, change: Callable[[pa.Table], pa.Table], **options: Any) -> Report:
    """A verification after a segment of the ledger was rewritten by ordinary tools."""
    path = root / segment_file(1)
    options = {"compression": "zstd", "use_dictionary": False, "write_page_checksum": True} | options
    pq.write_table(change(pq.read_table(path)), path, **options)
    take_stock(root)
    return check(root)


def test_ledger_rewritten_by_other_tools_is_the_same_ledger(proof_copy: Path) -> None:
    assert rewritten(proof_copy, lambda table: table, compression="none", row_group_size=2)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t.slice(0, 5), "has 5 rows, expected 6"),
        (lambda t: pa.concat_tables([t, t]), "has 12 rows, expected 6"),
        (lambda t: t.drop_columns(["loss"]), "another schema"),
        (lambda t: t.append_column("extra", t["loss"]), "another schema"),
        (
            lambda t: t.rename_columns(["step", "key", "indices", "state_digest", "batch_digest", "loss"]),
            "another schema",
        ),
        (lambda t: t.set_column(5, "loss", t["loss"].cast(pa.float64())), "another schema"),
        (lambda t: t.set_column(0, "step", t["step"].cast(pa.int64())), "another schema"),
        (lambda t: t.select(["step", "indices", "key", "batch_digest", "state_digest", "loss"]), "another schema"),
        (lambda t: t.take(list(range(5, -1, -1))), "other steps than 7 to 12"),
    ],
)
def test_ledger_of_another_shape(proof_copy: Path, change: Callable[[pa.Table], pa.Table], problem: str) -> None:
    refused(rewritten(proof_copy, change), 4, segment_file(1), problem)


def many_indices(table: pa.Table) -> pa.Table:
    """Rows with so many equal indices that they take no space in the file."""
    lists = pa.array([[0] * 3_000_000] * 6, SCHEMA.field("indices").type)
    return table.set_column(2, SCHEMA.field("indices"), lists)


@pytest.mark.parametrize("dictionary", [True, False])
def test_ledger_that_unpacks_to_much_more(proof_copy: Path, dictionary: bool) -> None:
    report = rewritten(proof_copy, many_indices, use_dictionary=dictionary)
    assert (proof_copy / segment_file(1)).stat().st_size < 200_000
    refused(report, 4, segment_file(1), "its real size" if dictionary else "unpacks to more than")


# --- documents ---------------------------------------------------------------------------------------------------


def put(*path: str | int, value: Any) -> Callable[[Any], None]:
    """Set a field."""

    def change(plain: Any) -> None:
        for name in path[:-1]:
            plain = plain[name]
        plain[path[-1]] = value

    return change


def drop(*path: str | int) -> Callable[[Any], None]:
    """Remove a field."""

    def change(plain: Any) -> None:
        for name in path[:-1]:
            plain = plain[name]
        del plain[path[-1]]

    return change


EDITS: list[tuple[str, Callable[[Any], None], str]] = [
    ("claim.json", put("format", value="pol-jax/2"), "$.format"),
    ("claim.json", put("extra", value=1), "extra"),
    ("claim.json", drop("steps"), "steps"),
    ("claim.json", put("steps", value=0), "$.steps"),
    ("claim.json", put("steps", value=-1), "$.steps"),
    ("claim.json", put("steps", value=2**32), "$.steps"),
    ("claim.json", put("steps", value=1.5), "$.steps"),
    ("claim.json", put("steps", value="24"), "$.steps"),
    ("claim.json", put("steps", value=True), "$.steps"),
    ("claim.json", put("steps", value=None), "$.steps"),
    ("claim.json", put("ledger_root", value="AB" * 32), "$.ledger_root"),
    ("claim.json", put("ledger_root", value="ab" * 32 + "\n"), "$.ledger_root"),
    ("claim.json", put("final_state", value="ab" * 31), "$.final_state"),
    ("claim.json", put("commitment", value=["ab" * 32]), "$.commitment"),
    ("claim.json", put("environment", value={}), "environment"),
    ("claim.json", put("environment", "cpu", value="x" * 1025), "$.environment.cpu"),
    ("claim.json", put("environment", "device_count", value="8"), "$.environment.device_count"),
    ("claim.json", put("environment", "xla_flags", value="--x"), "$.environment.xla_flags"),
    ("claim.json", put("environment", "\x1b[2J", value=1), "\\x1b[2J"),
    ("inventory.json", put("format", value="x"), "$.format"),
    ("inventory.json", put("files", value=[]), "$.files"),
    (
        "inventory.json",
        put("files", "../../etc/passwd", value={"size": 1, "digest": "ab" * 32}),
        "files: '../../etc/passwd'",
    ),
    ("inventory.json", put("files", "/etc/passwd", value={"size": 1, "digest": "ab" * 32}), "files: '/etc/passwd'"),
    ("inventory.json", put("files", "inventory.json", value={"size": 1, "digest": "ab" * 32}), "no place in an inv"),
    ("inventory.json", drop("files", "records"), "records: is not in the inventory"),
    ("inventory.json", put("files", "records", "size", value=-1), "$.files[...].size"),
    ("inventory.json", put("files", "records", "size", value="1280"), "Expected `int`"),
    ("inventory.json", put("files", "records", "digest", value="ab" * 32), "records: differs"),
    ("commitment.json", put("format", value="pol-jax/0"), "$.format"),
    ("commitment.json", put("extra", value=1), "extra"),
    ("commitment.json", drop("beacon"), "beacon"),
    ("commitment.json", put("nonce", value="x" * 257), "$.nonce"),
    ("commitment.json", put("nonce", value=7), "$.nonce"),
    ("commitment.json", put("prover", value="ed25519:short"), "$.prover"),
    ("commitment.json", put("program", "metrics", value=["norm", "loss"]), "program.metrics"),
    ("commitment.json", put("program", "metrics", value=["norm"]), "program.metrics"),
    ("commitment.json", put("program", "metrics", value=["loss", "loss"]), "program.metrics"),
    ("commitment.json", put("program", "init", value="../init"), "$.program.init"),
    ("commitment.json", put("state", value=[]), "state: empty"),
    ("commitment.json", put("state", 0, "dtype", value="object"), "state[0].dtype"),
    ("commitment.json", put("state", 0, "dtype", value="O"), "state[0].dtype"),
    ("commitment.json", put("state", 0, "shape", value=[2**48]), "state[0].shape"),
    ("commitment.json", put("state", 0, "shape", value=[-1]), "state[0].shape"),
    ("commitment.json", put("state", 0, "shape", value=[2**40, 2**40]), "state[0].shape"),
    ("commitment.json", put("state", 0, "shape", value=[1] * 33), "state[0].shape"),
    ("commitment.json", put("state", 0, "path", value="count"), "state[0].path"),
    ("commitment.json", put("state", 0, "path", value="/a~2"), "state[0].path"),
    ("commitment.json", put("state", 0, "path", value="/params"), "/params"),
    ("commitment.json", put("state", 0, "path", value="/params/w"), "two leaves have one path"),
    ("commitment.json", put("state", 0, "pieces", value=[1]), "state[0].pieces"),
    ("commitment.json", put("state", 2, "pieces", value=[3, 1]), "state[2].pieces"),
    ("commitment.json", put("state", 2, "pieces", value=[0, 1]), "state[2].pieces"),
    ("commitment.json", put("state", 0, "prng", value="threefry2x32"), "state[0].prng"),
    ("commitment.json", put("state", 1, "prng", value="mine"), "state[1].prng"),
    ("commitment.json", put("data", "records", value=0), "$.data.records"),
    ("commitment.json", put("data", "records", value=2**49), "$.data.records"),
    ("commitment.json", put("data", "record", value=[]), "data.record: empty"),
    ("commitment.json", put("data", "salted", value=0), "$.data.salted"),
    ("commitment.json", put("schedule", "batch_size", value=0), "$.schedule.batch_size"),
    ("commitment.json", put("schedule", "batch_size", value=2**20 + 1), "$.schedule.batch_size"),
    ("commitment.json", put("schedule", "interval", value=0), "$.schedule.interval"),
    ("commitment.json", put("schedule", "witness_interval", value=0), "$.schedule.witness_interval"),
    ("commitment.json", put("schedule", "order", value="sorted"), "$.schedule.order"),
    ("commitment.json", put("schedule", "prng", value="mine"), "$.schedule.prng"),
    ("commitment.json", put("initial", "origin", value="file"), "$.initial.origin"),
    ("commitment.json", put("task", "hyperparameters", "layers", value=[1]), "$.task.hyperparameters"),
]


@pytest.mark.parametrize(("name", "change", "field"), EDITS, ids=[f"{n}-{f}" for n, _, f in EDITS])
def test_document_with_a_wrong_field(proof_copy: Path, name: str, change: Callable[[Any], None], field: str) -> None:
    edit_document(proof_copy, name, change)
    refused(check(proof_copy), 3 if name == "commitment.json" else 2, field)


def again(content: bytes) -> bytes:
    """A field twice, with the values of an honest and of another document."""
    return content.replace(b'"format":"pol-jax/1"', b'"format":"pol-jax/1","format":"pol-jax/1"')


SPELLINGS: list[tuple[str, Spelling, str]] = [
    ("field twice", again, "'format' occurs twice"),
    ("space", lambda c: c.replace(b":", b": ", 1), "not canonical"),
    ("newline", lambda c: c + b"\n", "not canonical"),
    (
        "other order",
        lambda c: json.dumps(dict(reversed(json.loads(c).items())), separators=(",", ":")).encode(),
        "canon",
    ),
    ("escaped", lambda c: c.replace(b'"format"', b'"\\u0066ormat"'), "not canonical"),
    ("not a number", lambda c: c.replace(b'"pol-jax/1"', b"NaN"), "NaN is no JSON number"),
    ("infinite", lambda c: c.replace(b'"pol-jax/1"', b"-Infinity"), "-Infinity is no JSON number"),
    ("overflow", lambda c: c.replace(b'"pol-jax/1"', b"1e999"), "not canonical"),
    ("many digits", lambda c: c.replace(b'"pol-jax/1"', b"9" * 5000), "digits"),
    ("beyond 2^53", lambda c: c.replace(b'"pol-jax/1"', b"9007199254740993"), "not canonical"),
    ("minus zero", lambda c: c.replace(b'"pol-jax/1"', b"-0"), "not canonical"),
    ("float for int", lambda c: c.replace(b'"pol-jax/1"', b"1.0"), "not canonical"),
    ("deep", lambda c: c.replace(b'"pol-jax/1"', b"[" * 10**6 + b"]" * 10**6), "nested deeper than 16"),
    ("half open", lambda c: b"[" * 10**6, "nested deeper than 16"),
    (
        "hidden depth",
        lambda c: c.replace(b'"pol-jax/1"', b'"' + b"]" * 99 + b'",' + b"[" * 99),
        "nested deeper than 16",
    ),
    ("half a pair", lambda c: c.replace(b'"pol-jax/1"', b'"\\ud800"'), "not canonical"),
    ("half a pair in a key", lambda c: c.replace(b'"format"', b'"\\ud800"'), "not canonical"),
    ("mark", lambda c: b"\xef\xbb\xbf" + c, "not JSON"),
    ("UTF-16", lambda c: c.decode().encode("utf-16"), "not UTF-8"),
    ("Latin-1", lambda c: c.replace(b"pol-jax", b"p\xf6l-jax"), "not UTF-8: byte"),
    ("zero byte", lambda c: c.replace(b"pol-jax", b"pol\0jax"), "not JSON"),
    ("cut", lambda c: c[:-1], "not JSON"),
    ("two", lambda c: c + c, "not JSON"),
    ("list", lambda c: b"[]", "Expected `object`"),
    ("null", lambda c: b"null", "Expected `object`"),
    ("nothing", lambda c: b"", "not JSON"),
    ("text", lambda c: b"hello", "not JSON"),
]


@pytest.mark.parametrize("name", ["claim.json", "commitment.json", "inventory.json"])
@pytest.mark.parametrize(("spelling", "problem"), [each[1:] for each in SPELLINGS], ids=[each[0] for each in SPELLINGS])
def test_document_spelled_otherwise(proof_copy: Path, name: str, spelling: Spelling, problem: str) -> None:
    (proof_copy / name).write_bytes(spelling((proof_copy / name).read_bytes()))
    if name != "inventory.json":
        take_stock(proof_copy)
    refused(check(proof_copy), 3 if name == "commitment.json" else 2, name, problem)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Orbax logs what it can't read, at length."""
    with caplog.at_level("CRITICAL"):
        yield
