"""The shards of a verification run as tasks of a Ray cluster that is there already (extra ``ray``).

Each task finds facts in the sandbox, like any shard; a task whose worker dies is run again. All nodes must see the
proof under the same path, and have this package and the same backend.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pol_jax.errors import BackendError, PolError, UsageError, printable
from pol_jax.sandbox.apart import find_facts_apart
from pol_jax.sandbox.bounds import Bounds
from pol_jax.training.sources import SourceOrFinder
from pol_jax.verifying.facts import Facts, Share, merge_facts, parse_facts
from pol_jax.verifying.request import ProofRequest

RETRIES: Final = 3
"""A task whose worker died is run again, at most this many times."""

_ANSWER_SECONDS: Final = 10
"""A cluster has so long to take a connection."""


def find_facts_on_cluster(
    address: str,
    request: ProofRequest,
    source: SourceOrFinder,
    *,
    bounds: Bounds | None = None,
    shards: int | None = None,
) -> Facts:
    """Find the facts of a verification on a Ray cluster.

    Args:
        address: of the running cluster, as Ray takes it: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        request: what to verify.
        source: the training records, or a function that finds them; it is sent to the nodes.
        bounds: on the confined process of each shard.
        shards: how many; None for one for each processor of the cluster.

    Raises:
        UsageError: the extra is not installed, or there is no cluster at this address.
        BackendError: a shard could not be found, however often it was tried.
    """
    ray = _import_ray()
    with _connected(ray, address):
        number_of_shards = shards or max(1, int(ray.cluster_resources().get("CPU", 1)))
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_find_shard)
        pending = [
            task.remote(request, Share(number, number_of_shards), source, bounds)
            for number in range(1, number_of_shards + 1)
        ]
        try:
            # Facts come from other machines as bytes, and are parsed as strictly as those in files.
            found = [parse_facts(content, "a shard") for content in ray.get(pending)]
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, PolError) else BackendError(f"a shard: {_line(error)}") from error
        except ray.exceptions.RayError as error:
            raise BackendError(f"a shard was lost {RETRIES + 1} times: {_line(error)}") from error
    return merge_facts(found)


def _find_shard(request: ProofRequest, share: Share, source: SourceOrFinder, bounds: Bounds | None) -> bytes:
    """Find the facts of one shard; this runs on a node of the cluster."""
    return find_facts_apart(request, share, source, bounds=bounds).to_json()


@contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdecimal() and "//" not in host:  # Ray itself would wait for minutes
            socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{printable(address)}: no Ray cluster answers there: {_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _import_ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UsageError("Ray is not installed; install the extra: pip install 'pol_jax[ray]'") from error
    return ray


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return printable(lines[-1] if lines else type(error).__name__, 200)
