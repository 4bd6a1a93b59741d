"""``pol verify`` verifies a proof in a process of its own, or judges by the facts of shards, and prints the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pol_jax.cli.arguments import parse_list
from pol_jax.cli.documents import refuse_bundle
from pol_jax.cli.follow import follow_and_verify, follow_options
from pol_jax.cli.nonces import given_nonce
from pol_jax.cli.report_screen import check_outputs, publish_report
from pol_jax.cli.shards import check_shards, find_shard, read_facts
from pol_jax.cli.terminal import Bars, quiet_libraries
from pol_jax.cli.train_options import read_secret
from pol_jax.cli.verifier_options import VerifierOptions
from pol_jax.errors import UsageError
from pol_jax.integrations.ray_cluster import find_facts_on_cluster
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.policies import (
    AllSegments,
    JointSegments,
    ListedSegments,
    Metric,
    Policy,
    RandomSegments,
    TopSegments,
)
from pol_jax.reports.report import Report
from pol_jax.sandbox.apart import verify_proof_apart
from pol_jax.sandbox.bounds import Bounds
from pol_jax.training.task import Source
from pol_jax.verifying.facts import Facts
from pol_jax.verifying.request import ProofRequest, absolute_path, fresh_nonce
from pol_jax.verifying.trusted_program import Trusted, trust_built_in


@dataclass(frozen=True, kw_only=True)
class ProofOptions:
    """Proof options are those of ``pol verify`` that mean something for proofs alone, by their names.

    ``pol merge-reports`` has some of them, and leaves the others at their defaults.
    """

    top_q: int | None = None
    metric: Metric | None = None
    segments: str | None = None
    everything: bool = False
    parent: tuple[Path, ...] = ()
    private: Path | None = None
    shard: str | None = None
    out: Path | None = None
    ray: str | None = None
    facts: tuple[Path, ...] = ()
    follow: bool = False
    share: float | None = None
    stall: float | None = None

    def policy(self, chance: dict[str, float]) -> Policy:
        """Return the policy that the options ask for; options that are not given are None, or not in ``chance``.

        Raises:
            UsageError: they contradict each other.
        """
        if sum((self.segments is not None, self.everything, self.top_q is not None)) > 1:
            raise UsageError("--segments, --all and --top-q: give only one of them")
        if self.metric and self.top_q is None:
            raise UsageError("--metric: says how --top-q measures updates; give --top-q too")
        if chance and (self.everything or self.segments is not None):
            raise UsageError(f"--{next(iter(chance))}: is about random segments; leave out --segments and --all")
        if self.everything:
            return AllSegments()
        if self.segments is not None:
            return ListedSegments(parse_list(self.segments))
        if self.top_q is None:
            return RandomSegments(**chance)
        metric = self.metric or "l2"
        # Whoever says how random segments are drawn wants some beside the largest updates (section 12).
        return JointSegments(self.top_q, metric, **chance) if chance else TopSegments(self.top_q, metric)


def verify_command(proof: Path, options: VerifierOptions, about_proof: ProofOptions) -> int:
    """Verify a proof, print the report, and return the exit code.

    Where there are ``facts`` of shards, they say what to verify, and take the place of all replays: shards have drawn
    already, by their own policy and nonce. Where no task is trusted by name, the task that the proof names says only
    what to compare it with: the program is exported from this machine's own source.
    """
    shard, ray = about_proof.shard, about_proof.ray
    check_shards(shard, about_proof.out, ray, options.nonce)
    following = follow_options(
        about_proof.follow, about_proof.share, about_proof.stall, shard is not None or ray is not None
    )
    refuse_bundle(proof, "give the prover's answer to a challenge too (--opening)")
    given = given_nonce(options.nonce, options.nonce_round, proof, options.tsa_roots)
    found = read_facts(about_proof.facts) if about_proof.facts else None
    quiet_libraries()
    source, trusted = options.source(), options.trusted() or trust_built_in(options.data_dir)
    check_outputs(options.json_file, options.html_file, options.model)
    request = ProofRequest(
        path=absolute_path(proof),
        policy=found.policy if found else about_proof.policy(options.chance),
        nonce=bytes.fromhex(found.nonce) if found else given.content or fresh_nonce(),
        secret=read_secret(about_proof.private) if about_proof.private else None,
        parents=tuple(map(absolute_path, about_proof.parent)),
        records=options.records,
        **options.request_fields(),
    )
    bounds = options.bounds()
    if shard is not None:
        return find_shard(request, shard, about_proof.out, source, bounds)
    if ray is not None:
        found = find_facts_on_cluster(ray, request, source, bounds=bounds)
    verify = partial(_verify, source=source, trusted=trusted, bounds=bounds, facts=found)
    report = follow_and_verify(request, following, source, bounds, verify) if following else verify(request)
    return publish_report(given.named_in(report), options.json_file, options.html_file, options.model)


def _verify(
    request: ProofRequest,
    *,
    source: Callable[[Commitment], Source],
    trusted: Trusted,
    bounds: Bounds,
    facts: Facts | None,
) -> Report:
    """Verify a finished proof, and show how far the verification is."""
    bars = Bars()
    try:
        return verify_proof_apart(request, source, trusted=trusted, progress=bars, bounds=bounds, facts=facts)
    finally:
        bars.end()
