"""Settings and shared proofs of the tests.

Annotations of `pol_jax` are checked while tests run (shapes and dtypes by jaxtyping, the rest by beartype); nowhere
else, the package itself doesn't import them.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import jax
import pytest
from jaxtyping import install_import_hook

sys.path.insert(0, str(Path(__file__).parent))  # task names such as tiny:plain
install_import_hook("pol_jax", "beartype.beartype")

import tiny  # noqa: E402

from pol_jax.protocol.challenge import AllSegments  # noqa: E402
from pol_jax.proving.commit import Choices  # noqa: E402
from pol_jax.proving.recording import train  # noqa: E402
from pol_jax.reports.report import Report  # noqa: E402
from pol_jax.verifying.proof_verifier import verify  # noqa: E402

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")

NONCE = b"a nonce of tests"


@pytest.fixture(scope="session", autouse=True)
def _compile_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compile a program once for all tests and for the processes that they start."""
    directory = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("xla")))
    jax.config.update("jax_compilation_cache_dir", directory)
    for name, value in {"min_compile_time_secs": 0, "min_entry_size_bytes": -1}.items():
        os.environ.setdefault(f"JAX_PERSISTENT_CACHE_{name.upper()}", str(value))
        jax.config.update(f"jax_persistent_cache_{name}", value)


@pytest.fixture(scope="session")
def plain_proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished proof of `tiny.plain`; tests copy it before they change anything."""
    path = tmp_path_factory.mktemp("plain") / "proof"
    train(tiny.plain(), path, steps=tiny.STEPS, choices=Choices(interval=tiny.INTERVAL, seed="tests"))
    return path


@pytest.fixture
def proof_copy(plain_proof: Path, tmp_path: Path) -> Path:
    """A copy of `plain_proof` that a test may damage."""
    return Path(shutil.copytree(plain_proof, tmp_path / "proof"))


@pytest.fixture(scope="session")
def verify_plain() -> Callable[..., Report]:
    """Verify a proof of `tiny.plain`: every segment, with the true records, unless told otherwise."""

    def verify_it(path: Path, **changes: Any) -> Report:
        arguments = {"source": tiny.plain().source, "policy": AllSegments(), "nonce": NONCE} | changes
        return verify(path, arguments.pop("source"), **arguments)

    return verify_it
