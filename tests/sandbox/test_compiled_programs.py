"""Compiled programs are kept between verifications: same bits, in the user's folder, no harm where they can't be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from forked_children import forking
from places import TESTS

from pol_jax.protocol.policies import ListedSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox import starting
from pol_jax.sandbox.bounds import FILE_BYTES
from pol_jax.sandbox.compiled_programs import cache_settings, keep, provide, prune, read_files, reading_key
from pol_jax.sandbox.verify import verify

NONCE = b"a nonce of these tests"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a user who has set nothing of jax's."""
    use(monkeypatch, tmp_path / "cache")
    return tmp_path / "cache"


def use(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """Let programs be kept here alone."""
    for name in [name for name in os.environ if name.startswith("JAX_") and "CACHE" in name]:
        patch.delenv(name)
    patch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture(scope="module")
def cold(plain_proof: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    """The report of a verification that found nothing compiled, and the cache as it left it: tests copy that."""
    folder, before = tmp_path_factory.mktemp("cold") / "cache", sorted(plain_proof.rglob("*"))
    with pytest.MonkeyPatch.context() as patch, forking():
        use(patch, folder)
        report = replay(plain_proof)
    assert sorted(plain_proof.rglob("*")) == before
    return report, folder


def replay(path: Path) -> Report:
    return verify(path, tiny.plain().source, policy=ListedSegments((1,)), nonce=NONCE)


def kept(cache: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in cache.rglob("*-cache")}


@pytest.mark.interpreter
def test_cold_and_warm_give_the_same_report(plain_proof: Path, cache: Path, cold: tuple[Report, Path]) -> None:
    """Also with files that are cut, as a full disk leaves them; and no file is in the proof."""
    before = sorted(plain_proof.rglob("*"))
    report, left = cold
    shutil.copytree(left, cache)
    files = kept(cache)
    assert report.verdict is Verdict.ACCEPTED
    assert any(path.name.startswith("jit_call-") for path in files)
    assert (cache / "pol_jax" / "compiled").stat().st_mode & 0o777 == 0o700
    assert replay(plain_proof) == report
    assert kept(cache) == files
    for path, size in files.items():
        os.truncate(path, size // 2)
    assert replay(plain_proof) == report
    again = kept(cache)  # what is not what was kept is compiled, and kept, again
    assert again.keys() == files.keys()
    assert all(size > files[path] // 2 for path, size in again.items())
    assert sorted(plain_proof.rglob("*")) == before


@pytest.mark.interpreter
def test_a_program_of_the_user_s_own_cache_is_not_compiled_again(
    plain_proof: Path, cache: Path, cold: tuple[Report, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, left = cold
    shutil.copytree(left, cache)
    own = tmp_path / "own"
    own.mkdir()
    for path in kept(cache):
        path.rename(own / path.name)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(own))
    assert replay(plain_proof) == report
    assert kept(cache) == {}


def test_a_secret_that_another_process_has_not_written_yet_is_not_taken(cache: Path, tmp_path: Path) -> None:
    """An empty one, which a crash leaves too, would be known to the processes that it is kept from."""
    made, key = tmp_path / "made", b"what was read"
    made.mkdir()
    (made / "jit_call-1-cache").write_bytes(b"a program")
    keep(made, key)
    (secret,) = cache.rglob("secret")
    assert (secret.stat().st_size, secret.stat().st_mode & 0o777) == (32, 0o600)
    secret.write_bytes(b"")
    keep(made, key)
    assert len(secret.read_bytes()) == 32
    assert list(secret.parent.glob("*.tmp")) == []
    provide(tmp_path / "again", key)
    assert (tmp_path / "again" / "jit_call-1-cache").read_bytes() == b"a program"


def take_over(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Run ``code`` in the child in place of its work, as a parser does that a hostile file has taken over."""
    start = starting._CODE.replace("from pol_jax.garbage", f"{code}\nraise SystemExit\nfrom pol_jax.garbage")
    monkeypatch.setattr(starting, "_CODE", start)


WRITE = """
import os, pathlib
folder = pathlib.Path(os.environ['JAX_COMPILATION_CACHE_DIR'])
(folder / 'jit_call-false-cache').write_bytes(b'false')
"""


@pytest.mark.started
def test_what_a_proof_left_is_met_by_no_other(plain_proof: Path, tmp_path: Path, cache: Path) -> None:
    """A false program that one proof's parser left was executed in the verification of another proof so."""
    with pytest.MonkeyPatch.context() as patch:
        other = Path(shutil.copytree(plain_proof, tmp_path / "other"))
        (other / "inventory.json").write_bytes(b"{}")
        take_over(patch, WRITE)
        with starting.child_process([str(other)], confined=True) as child:
            child.popen.wait(60)
    assert [path.name for path in kept(cache)] == ["jit_call-false-cache"]
    provided = tmp_path / "provided"
    provide(provided, reading_key(read_files([str(plain_proof)])))
    assert list(provided.iterdir()) == []
    provide(tmp_path / "again", reading_key(read_files([str(other)])))
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["jit_call-false-cache"]


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "raise ValueError"])
def test_nothing_is_kept_after_another_end(plain_proof: Path, cache: Path, end: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        take_over(patch, WRITE + end)
        with starting.child_process([str(plain_proof)], confined=True) as child:
            child.popen.wait(60)
    assert kept(cache) == {}


def test_nothing_is_kept_if_the_proof_changed_meanwhile(proof_copy: Path, cache: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        take_over(patch, WRITE)
        with starting.child_process([str(proof_copy)], confined=True) as child:
            child.popen.wait(60)
            (proof_copy / "inventory.json").write_bytes(b"{}")
    assert kept(cache) == {}


@pytest.mark.started
@pytest.mark.interpreter
def test_the_user_s_own_cache_is_read_and_never_written(
    plain_proof: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's other programs, outside of any confinement, would execute what a child left there."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "jit_f-1-cache").write_bytes(b"as it was")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(own))
    attempts = """
import os, pathlib
from jax._src.lru_cache import LRUCache
from pol_jax.sandbox.cache_lookup import READ_ALSO, read_also
own, theirs = (pathlib.Path(os.environ[name]) for name in ('JAX_COMPILATION_CACHE_DIR', READ_ALSO))
assert list(own.iterdir()) == []
read_also()
cache = LRUCache(str(own), max_size=-1)
assert (cache.get('jit_f-1'), cache.get('jit_g-1')) == (b'as it was', None)
cache.put('jit_f-1', b'found first')
assert cache.get('jit_f-1') == b'found first'
(own / 'jit_f-1-cache').unlink()
for change in (lambda: (theirs / 'jit_f-1-cache').write_bytes(b'false'), lambda: (theirs / 'jit_g-1-cache').touch()):
    try:
        change()
    except PermissionError:
        continue
    os._exit(1)
"""
    with pytest.MonkeyPatch.context() as patch:
        take_over(patch, attempts)
        with starting.child_process([str(plain_proof)], confined=True) as child:
            assert child.popen.wait(60) == 0
    assert {path.name: path.read_bytes() for path in own.iterdir()} == {"jit_f-1-cache": b"as it was"}
    assert kept(cache) == {}


@pytest.mark.parametrize("wound", ["content", "manifest", "name", "secret"])
def test_what_is_not_what_was_kept_is_not_used(cache: Path, tmp_path: Path, wound: str) -> None:
    made, key = tmp_path / "made", b"what was read"
    made.mkdir()
    (made / "jit_f-1-cache").write_bytes(b"compiled")
    keep(made, key)
    ((path, _),) = kept(cache).items()
    if wound == "content":
        path.write_bytes(b"fa1se")
    elif wound == "manifest":
        manifest = path.with_name("manifest")
        manifest.write_bytes(manifest.read_bytes().replace(b"jit_f", b"jit_g"))
    elif wound == "name":
        path.rename(path.with_name("jit_g-1-cache"))
    else:
        next(cache.rglob("secret")).write_bytes(bytes(32))
    provide(tmp_path / "provided", key)
    assert list((tmp_path / "provided").iterdir()) == []


def test_only_plain_files_are_taken_over(cache: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "jit_a-1-cache").write_bytes(b"compiled")
    (made / "jit_b-1-cache").symlink_to("/etc/passwd")
    (made / "jit_c-1-cache").mkdir()
    os.mkfifo(made / "jit_d-1-cache")
    (made / "something else").write_bytes(b"compiled")
    with (made / "jit_e-1-cache").open("wb") as large:
        large.truncate(FILE_BYTES + 1)
    (made / "jit_f-1-cache").write_bytes(b"compiled")
    keep(made, b"key")
    assert sorted(path.name for path in kept(cache)) == ["jit_a-1-cache", "jit_f-1-cache"]
    provide(tmp_path / "provided", b"key")
    assert sorted(path.name for path in (tmp_path / "provided").iterdir()) == ["jit_a-1-cache", "jit_f-1-cache"]


def test_full_disk_is_no_obstacle(plain_proof: Path, cache: Path) -> None:
    """As if: no file may be larger than 2 KiB."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048));"
        "from pol_jax.cli.main import main; main()"
    )
    arguments = ["verify", str(plain_proof), "--task", "tiny:plain", "--segments", "1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"},  # which would be cut too
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert max(kept(cache).values()) <= 2048


def test_folder_that_can_t_be_made_is_no_obstacle(
    plain_proof: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert replay(plain_proof).verdict is Verdict.ACCEPTED


def test_folder_that_others_write_to_is_not_used(cache: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "jit_f-1-cache").write_bytes(b"compiled")
    keep(made, b"key")
    assert len(kept(cache)) == 1
    (cache / "pol_jax" / "compiled").chmod(0o770)
    provide(tmp_path / "provided", b"key")
    assert list((tmp_path / "provided").iterdir()) == []


def test_user_switches_it_off(plain_proof: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "False")
    assert cache_settings(cache) == {}
    assert replay(plain_proof).verdict is Verdict.ACCEPTED
    assert not cache.exists()


def test_oldest_are_removed_first(tmp_path: Path) -> None:
    for age, name in enumerate("abcd"):
        (tmp_path / f"{name}-cache").write_bytes(bytes(10))
        os.utime(tmp_path / f"{name}-cache", (1000 - age, 1000 - age))
    prune(tmp_path, 40)
    assert len(list(tmp_path.iterdir())) == 4
    prune(tmp_path, 39)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-cache"]


@pytest.mark.parametrize("name", ["claim.json", "inventory.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "huge file"])
def test_what_can_t_be_digested_holds_nobody_up(kind: str, name: str, proof_copy: Path) -> None:
    """The caller reads these files before anything was checked, and no bound on the child's time holds for it."""
    (proof_copy / name).unlink()
    if kind == "pipe":
        os.mkfifo(proof_copy / name)
    elif kind == "device":
        (proof_copy / name).symlink_to("/dev/zero")
    else:
        (proof_copy / name).touch()
        os.truncate(proof_copy / name, 2**40)
    assert reading_key(read_files([str(proof_copy)])) is None
    assert reading_key(read_files([str(proof_copy / name)])) is None  # as an opening


def test_a_proof_with_a_pipe_in_place_of_a_document_is_refused(proof_copy: Path, cache: Path) -> None:
    (proof_copy / "inventory.json").unlink()
    os.mkfifo(proof_copy / "inventory.json")
    report = replay(proof_copy)
    assert report.verdict is Verdict.REJECTED
    assert "inventory.json: is no plain file" in report.reasons[0]
