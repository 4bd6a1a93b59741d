"""Directories with data sets: stand-ins, and the real ones where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from standin import REAL, Standin


@pytest.fixture(scope="session", autouse=True)
def _no_origins() -> Iterator[None]:
    """Let jax not say where a traced value came from: NNX asks each for its sharding, and drops the error.

    To find the origin, jax looks through all that was traced before, which takes a third of the tracing of ResNet-50.
    """
    with pytest.MonkeyPatch.context() as patch:
        tracer = "jax._src.interpreters.partial_eval.DynamicJaxprTracer"
        patch.setattr(f"{tracer}._origin_msg", lambda _: "")
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TFDS data directory with stand-ins, and the digits."""
    directory = tmp_path_factory.mktemp("tfds")
    for name in ("cifar10", "cifar100", "tiny_shakespeare"):
        builder = type(name, (Standin,), {"name": name, "__module__": __name__})
        builder(data_dir=directory, file_format="array_record").download_and_prepare()
    return directory


@pytest.fixture(scope="session")
def real() -> Path:
    """The directory with the real data sets."""
    if not (REAL / "cifar10").is_dir():
        pytest.skip(f"no TFDS data directory at {REAL}; say where one is with POL_TFDS")
    return REAL
