"""This module implements ``pol verify``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from pol_jax.attesting.anchors import read_anchors
from pol_jax.cli.arguments import parse_list
from pol_jax.cli.cures import source_of_built_in
from pol_jax.cli.documents import refuse_bundle
from pol_jax.cli.follow import follow_and_verify, following_of
from pol_jax.cli.nonces import given_nonce
from pol_jax.cli.report_screen import check_files, check_model, publish
from pol_jax.cli.shards import check_shards, find_shard, read_facts
from pol_jax.cli.terminal import Bars, quiet_libraries
from pol_jax.cli.train import read_secret
from pol_jax.errors import UsageError
from pol_jax.integrations.ray_cluster import find_facts_on_cluster
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
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
from pol_jax.training.task import Source, Task, load_task
from pol_jax.verifying.proof_verifier import BUILT_IN_RECORDS
from pol_jax.verifying.request import ProofRequest, absolute, fresh_nonce
from pol_jax.verifying.trusted_program import Trusted, trust, trust_built_in


def verify_command(
    proof: Path,
    confidence: float | None,
    fraction: float | None,
    top_q: int | None,
    metric: Metric | None,
    segments: str | None,
    everything: bool,
    nonce: str | None,
    nonce_round: Path | None,
    task: tuple[str, ...],
    parent: tuple[Path, ...],
    data_dir: Path | None,
    private: Path | None,
    json_file: Path | None,
    html_file: Path | None,
    timeout: float,
    total_timeout: float | None,
    memory: float | None,
    unconfined: bool,
    max_constants: int | None,
    same_program: bool,
    any_program: bool,
    jobs: int | None,
    d_ref: float | None,
    exact: bool,
    leaves: tuple[str, ...],
    model: Path | None,
    signer: str | None = None,
    tsa_roots: Path | None = None,
    shard: str | None = None,
    out: Path | None = None,
    ray: str | None = None,
    facts: tuple[Path, ...] = (),
    follow: bool = False,
    share: float | None = None,
    stall: float | None = None,
) -> int:
    """Verify a proof, print the report, and return the exit code.

    Where there are ``facts`` of shards, they say what to verify, and take the place of all replays.
    """
    check_shards(shard, out, ray, nonce)
    following = following_of(follow, share, stall, shard is not None or ray is not None)
    refuse_bundle(proof, "give the prover's answer to a challenge too (--opening)")
    given = given_nonce(nonce, nonce_round, proof, tsa_roots)
    found = read_facts(facts) if facts else None
    trusted = trusted_task(task, data_dir, same_program)
    quiet_libraries()
    check_files(json_file, html_file)
    check_model(model)
    request = ProofRequest(
        path=absolute(proof),
        policy=found.policy if found else _policy(confidence, fraction, top_q, metric, segments, everything),
        nonce=bytes.fromhex(found.nonce) if found else given.content or fresh_nonce(),
        limits=Limits() if max_constants is None else Limits(constant_bytes=max_constants),
        secret=read_secret(private) if private else None,
        same_program=same_program,
        any_program=any_program,
        parents=tuple(map(absolute, parent)),
        jobs=jobs or 1,
        d_ref=d_ref,
        exact=exact,
        leaves=leaves,
        model=None if model is None else absolute(model),
        **read_anchors(signer, tsa_roots)._asdict(),
        records=f"--task {', '.join(task)}" if task else BUILT_IN_RECORDS,
    )
    bounds = bounds_of(timeout, total_timeout, memory, unconfined)
    source, trusted = source_of(task, data_dir), trusted or trust_built_in(data_dir)
    if shard is not None:
        return find_shard(request, shard, out, source, bounds)
    if ray is not None:
        found = find_facts_on_cluster(ray, request, source, bounds=bounds)

    def verify(request: ProofRequest) -> Report:
        bars = Bars()
        try:
            return verify_proof_apart(request, source, trusted=trusted, progress=bars, bounds=bounds, facts=found)
        finally:
            bars.end()

    report = follow_and_verify(request, following, source, bounds, verify) if following else verify(request)
    return publish(structs.replace(report, public_draw=given.draw), json_file, html_file, model)


def bounds_of(timeout: float, total_timeout: float | None, memory: float | None, unconfined: bool) -> Bounds:
    """Return the bounds on the process that verifies; ``memory`` is in GB."""
    return Bounds(
        silence_seconds=timeout,
        total_seconds=total_timeout,
        memory_bytes=None if memory is None else round(memory * 1e9),
        confined=not unconfined,
    )


def trusted_task(tasks: tuple[str, ...], data_dir: Path | None, same_program: bool) -> Trusted | None:
    """Return what tells the program of the task that a proof is compared with, of those that the verifier trusts.

    Raises:
        UsageError: the verifier insists on a trusted program, and names no task.
    """
    if tasks:
        return trust(
            lambda commitment, steps: _task(tasks, commitment, data_dir, steps),
            lambda commitment, steps: _task(tasks, commitment, data_dir),
        )
    if same_program:
        raise UsageError("--same-program: there is no source to compare with; say whose is trusted (--task)")
    return None


def source_of(tasks: tuple[str, ...], data_dir: Path | None) -> Callable[[Commitment], Source]:
    """Return what finds the records of a proof: those of the trusted tasks, or else of the built-in task it names."""
    if not tasks:
        return source_of_built_in(data_dir)
    return lambda commitment: _task(tasks, commitment, data_dir).source


def _task(names: tuple[str, ...], commitment: Commitment, data_dir: Path | None, steps: int | None = None) -> Task:
    """Return the task of a proof: the only one, or of several the one whose name the proof has."""
    tasks = [load_task(name, data_dir=data_dir, steps=steps) for name in names]
    if len(tasks) == 1:
        return tasks[0]
    for task in tasks:
        if task.name == commitment.task.name:
            return task
    raise UsageError(
        f"--task: none of the given tasks is called {commitment.task.name!r}; give the task of this proof too"
    )


def _policy(
    confidence: float | None,
    fraction: float | None,
    top_q: int | None,
    metric: Metric | None,
    segments: str | None,
    everything: bool,
) -> Policy:
    """Return the policy that the options ask for; options that are not given are None."""
    chance = {name: x for name, x in (("confidence", confidence), ("fraction", fraction)) if x is not None}
    if sum((segments is not None, everything, top_q is not None)) > 1:
        raise UsageError("--segments, --all and --top-q: give only one of them")
    if metric and top_q is None:
        raise UsageError("--metric: says how --top-q measures updates; give --top-q too")
    if chance and (everything or segments is not None):
        raise UsageError(f"--{next(iter(chance))}: is about random segments; leave out --segments and --all")
    if everything:
        return AllSegments()
    if segments is not None:
        return ListedSegments(parse_list(segments))
    if top_q is None:
        return RandomSegments(**chance)
    return JointSegments(top_q, metric or "l2", **chance) if chance else TopSegments(top_q, metric or "l2")
