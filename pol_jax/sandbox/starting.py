"""A process of ours is started, confined, and killed with all that it started when it is no longer needed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from pathlib import Path

from pol_jax.sandbox.process import Process
from pol_jax.sandbox.variables import visible_variables

# Confined first: Landlock and seccomp hold for threads that are started later, and imports of jax start some.
_CODE = """
import sys
from pol_jax.sandbox.bounds import be_killed_first
from pol_jax.sandbox.confinement import confine
handle, caller, confined, processes, loopback, scratch, *readable = sys.argv[1:]
be_killed_first()
unrestricted = ["file access and network not restricted"]
if confined == "True":
    unrestricted = confine(readable, [scratch], processes=processes == "True", loopback=loopback == "True")
from pol_jax.garbage import importing
with importing():
    from pol_jax.sandbox.child import serve
serve(int(handle), int(caller), unrestricted)
# All is said and written. To shut jax and Orbax down in order would take longer than many steps.
import os
os._exit(0)
"""


@contextmanager
def child_process(
    readable: Sequence[str], confined: bool, *, processes: bool = False, loopback: bool = False
) -> Iterator[Process]:
    """Start a process that serves one request; it and all that it started are killed when it is no longer needed.

    Args:
        readable: absolute paths of the files, or of the folders with all in them, that it is to read.
        confined: whether it is kept from other files, and from the network.
        processes: whether it may start others.
        loopback: whether it may speak TCP with itself.
    """
    from pol_jax.sandbox import compiled_programs  # it starts jax, which commands that only read do without

    # The key is taken before and after: compiled programs are kept only if the files are those that were read.
    files = compiled_programs.read_files(readable)
    key = compiled_programs.reading_key(files)
    with _scratch() as scratch:
        programs = Path(scratch) / "compiled"
        compiled_programs.provide(programs, key)
        # The user's own cache of jax is read by the child and never written: what it left there would run elsewhere.
        given = compiled_programs.given_cache()
        arguments = [str(confined), str(processes), str(loopback), scratch, *readable, *([str(given)] if given else [])]
        variables = {"TMPDIR": scratch, **compiled_programs.cache_settings(programs)}
        with python_process(_CODE, arguments, variables, own_group=True) as process:
            yield process
            ended_well = process.ended_well()
        # A child that crashed may have been taken over, so nothing that it compiled is kept.
        if ended_well and compiled_programs.reading_key(files) == key:
            compiled_programs.keep(programs, key)


@contextmanager
def reading_process(root: str) -> Iterator[Process]:
    """Start a confined process that parses files of the proof in ``root`` (`pol_jax.sandbox.reader`), and no more."""
    # Started and confined in the same way; only what it serves is another module.
    code = _CODE.replace("pol_jax.sandbox.child", "pol_jax.sandbox.reading")
    with _scratch() as scratch:
        arguments = ["True", "False", "False", scratch, root]
        with python_process(code, arguments, {"TMPDIR": scratch}, own_group=True) as process:
            yield process


@contextmanager
def python_process(
    code: str, arguments: Sequence[str], environment: Mapping[str, str], *, own_group: bool = False
) -> Iterator[Process]:
    """Start a process that runs ``code`` of ours; killed when it is no longer needed. It is confined as this one is.

    Args:
        code: Python.
        arguments: for it, after the handle of its pipe and the number of this process.
        environment: variables beside those of this process that it may see (`visible_variables`).
        own_group: whether to make it the head of a process group, and to kill the whole group in the end: confined
            processes can't leave theirs.
    """
    ours, theirs = Pipe()
    with ours, tempfile.TemporaryFile() as output:
        # -P and no relative path: a module that lies in the current directory, or in the proof, is not imported.
        popen = subprocess.Popen(  # noqa: S603  # our own interpreter and code
            [sys.executable, "-P", "-c", code, str(theirs.fileno()), str(os.getpid()), *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A library may look for files in its current directory; that of the caller may be the proof itself.
            cwd="/",
            env=visible_variables() | {"PYTHONPATH": os.pathsep.join(_module_paths())} | dict(environment),
            # A group of its own, which no call leaves: the filter refuses `setsid` and `setpgid`.
            process_group=0 if own_group else None,
        )
        theirs.close()
        try:
            yield Process(ours, popen, output)
        finally:
            if own_group:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(popen.pid, signal.SIGKILL)
            popen.kill()
            popen.wait()


@contextmanager
def _scratch() -> Iterator[str]:
    """Make a folder for the child. That something in it can't be removed is no reason to lose a report."""
    folder = tempfile.mkdtemp(prefix="pol-")
    try:
        yield folder
    finally:
        with suppress(OSError, RecursionError):
            shutil.rmtree(folder)


def _module_paths() -> list[str]:
    """Return where the process finds this package: beside this one, and on this process's absolute paths."""
    beside_us = str(Path(__file__).resolve().parents[2])
    return [beside_us, *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(path))]
