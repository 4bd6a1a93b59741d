"""``pol verify --shard`` finds the facts of a share of the work, and ``pol merge-reports`` judges by those of all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pol_jax.cli.output_file import write_output
from pol_jax.cli.terminal import Bars, say
from pol_jax.errors import UsageError
from pol_jax.files import read_own_file
from pol_jax.protocol.commitment import Commitment
from pol_jax.sandbox.apart import find_facts_apart
from pol_jax.sandbox.bounds import Bounds
from pol_jax.training.task import Source
from pol_jax.verifying.facts import Facts, Share, merge_facts, parse_facts
from pol_jax.verifying.request import ProofRequest

_SHARE = re.compile(r"(\d{1,6})/(\d{1,6})\Z", re.ASCII)
_MOST_BYTES = 2**28


def check_shards(shard: str | None, out: Path | None, ray: str | None, nonce: str | None) -> None:
    """Check options that only go together.

    Raises:
        UsageError: one is missing, or there are two ways to share the work.
    """
    if shard is not None and ray is not None:
        raise UsageError("--shard and --ray: give one of them")
    if (shard is None) != (out is None):
        raise UsageError("--shard and --out: give both: a shard writes the facts that it finds, and gives no verdict")
    if shard is not None and nonce is None:
        raise UsageError(
            "--shard: all shards must make the same draw; give each the same --nonce (openssl rand -hex 16)"
        )


def parse_share(text: str) -> Share:
    """Return the share that ``I/N`` names.

    Raises:
        UsageError: the text names none.
    """
    match = _SHARE.match(text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {text!r}: expected I/N, such as 3/8, with I from 1 to N")
    return Share(int(match[1]), int(match[2]))


def find_shard(
    request: ProofRequest,
    share: str,
    out: Path | None,
    source: Callable[[Commitment], Source],
    bounds: Bounds,
) -> int:
    """Find the facts of a shard, write them, and return the exit code.

    Raises:
        StorageError: the file can't be written.
    """
    assert out is not None  # noqa: S101  # it goes with the shard
    bars = Bars()
    try:
        facts = find_facts_apart(request, parse_share(share), source, progress=bars, bounds=bounds)
    finally:
        bars.end()
    write_output(out, facts.to_json())
    # A set, because what differs was replayed twice (section 13), and is told once.
    differing = len({result.span for result in facts.replays if not result.exact})
    say(
        f"shard {share}: {len(facts.replays)} replays, {differing} of them other than the ledger says, and "
        f"{len(facts.compared)} comparisons are in {out}; pol merge-reports judges them"
    )
    return 0


def read_facts(paths: Sequence[Path]) -> Facts:
    """Return what all shards found together.

    Raises:
        UsageError: a file can't be read, or these are not all shards of one verification.
    """
    return merge_facts([_read(path) for path in paths])


def _read(path: Path) -> Facts:
    return parse_facts(read_own_file(path, _MOST_BYTES, "the facts of a shard"), str(path))
