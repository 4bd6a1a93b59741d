"""A report is what a verification found, as one frozen value whose truth value is "accepted" (section 13.1)."""

from __future__ import annotations

import inspect
from functools import cache
from html import escape
from typing import Any, get_origin, get_type_hints

import msgspec

from pol_jax import errors
from pol_jax.protocol.claim import Intervention
from pol_jax.protocol.encoding import FORMAT, Format
from pol_jax.protocol.environment import Environment
from pol_jax.protocol.limits import RULES
from pol_jax.protocol.policies import Policy, StepPolicy
from pol_jax.protocol.stages import Stage
from pol_jax.reports.comparison import Compared
from pol_jax.reports.coverage import Coverage, Replay
from pol_jax.reports.curves import Point, Update
from pol_jax.reports.dependence import Dependence
from pol_jax.reports.drift import Drift
from pol_jax.reports.identity import Authorship, Data, Deployed, Model, Period
from pol_jax.reports.outcomes import Mode, Outcome, StageResult, Verdict
from pol_jax.reports.provenance import Ancestor, Origin, Provenance
from pol_jax.reports.public_draw import PublicDraw
from pol_jax.reports.states import KolmogorovSmirnov, NonFinite


class Report(msgspec.Struct, frozen=True):
    """A report is the result of a verification.

    Attributes:
        format: version of the format of reports.
        rules: number of the rules by which the verifier judged (docs/protocol.md, section 13).
        verdict: accepted, rejected or inconclusive.
        mode: how the proof was accepted, with all that it comes from: bit for bit, or within a tolerance; None if it
            was not accepted.
        exact: whether the verifier asked that nothing be accepted within a tolerance.
        leaves: the leaves that matter to the verifier, by path or by what they lie below; empty for all.
        reasons: what nobody has shown about the initial state, then the reasons for the verdict; one line each.
        provenance: where the initial state comes from; None if stage 3 was not passed.
        ancestors: the earlier proofs that it comes from, as far as they were verified, the latest first.
        stages: the results of all nine stages.
        claim: hex digest of the claim; None if it could not be read.
        commitment: hex digest of the commitment; None if it could not be read.
        inventory: hex digest of the inventory, which cites the proof as bytes; None before stage 2 was passed, for an
            opening, and in version 1.
        task: the prover's name for the task, which is never trusted; None if stage 3 was not passed.
        nonce: the nonce in hex, which decides the draw.
        public_draw: the round of a beacon that the nonce is of; None if it is of none that the verifier named.
        policy: the policy, which decides the draw.
        coverage: what was replayed; None if no challenge was drawn.
        self_test: the replay of the first steps; None if it was not made.
        replays: the replays of the covered segments.
        curve: the loss in the ledger, at most 200 points; empty if stage 4 was not passed.
        initial_test: a statistical test of the initial state; None if it was not made or nothing is random.
        compared: steps whose bits differ on this machine without saying anything, compared within a tolerance.
        updates: distances between checkpoints, at most 200, by the policy's metric or else l2; empty for an opening.
        drift: what false or tolerated steps could have done; None if nothing that was challenged passed.
        claimed_environment: the environment in which the run was made, as the prover says.
        environment: the environment of the verification.
        program_origin: whether the program is the one that the verifier exports from source that it trusts.
        interventions: changes of the state from outside the program, as the claim names them.
        may_stop_early: whether the prover could choose where the run ends; None if stage 3 was not passed.
        dependence: how much an update depends on its batch and state; None if nothing that was challenged was tried.
        non_finite: the leaves of the final state that hold a NaN or an infinity; empty if the final state is not there.
        model: which model the claim is about; None if the claim could not be read.
        authorship: who signed the claim; None if stage 3 was not passed.
        period: when training took place; None likewise.
        data: the records of the run; None likewise.
        deployed: how a model at hand relates to the final parameters; None if none was compared.
    """

    format: Format
    rules: int
    verdict: Verdict
    mode: Mode | None
    exact: bool
    leaves: tuple[str, ...]
    reasons: tuple[str, ...]
    provenance: Provenance | None
    ancestors: tuple[Ancestor, ...]
    stages: tuple[StageResult, ...]
    claim: str | None
    commitment: str | None
    inventory: str | None
    task: str | None
    nonce: str
    public_draw: PublicDraw | None
    policy: Policy | StepPolicy
    coverage: Coverage | None
    self_test: Replay | None
    replays: tuple[Replay, ...]
    curve: tuple[Point, ...]
    updates: tuple[Update, ...]
    claimed_environment: Environment | None
    environment: Environment
    program_origin: Origin
    compared: tuple[Compared, ...]
    drift: Drift | None
    initial_test: KolmogorovSmirnov | None
    dependence: Dependence | None
    non_finite: tuple[NonFinite, ...]
    interventions: tuple[Intervention, ...]
    may_stop_early: bool | None
    model: Model | None
    authorship: Authorship | None
    period: Period | None
    data: Data | None
    deployed: Deployed | None

    def __repr__(self) -> str:
        """Return verdict, mode and coverage in one line; `to_html` makes a page of all."""
        mode = f", {self.mode}" if self.mode else ""
        seen = self.coverage
        covered = f", {seen.steps_replayed} of {seen.steps} steps replayed" if seen else ""
        reasons = "1 reason" if len(self.reasons) == 1 else f"{len(self.reasons)} reasons"
        return f"<Report: {self.verdict}{mode}{covered}, {reasons}>"

    @classmethod
    def from_json(cls, content: bytes | str) -> Report:
        """Return the report that `to_json` wrote; a verifier signs it, or whoever reads it trusts where it is from.

        Raises:
            UsageError: the content is no report of this version.
        """
        try:
            return msgspec.json.decode(content, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise errors.UsageError(f"this is no report: {error}") from error

    def to_html(self) -> str:
        """Return the report as a page for a browser, which needs no other file, no network and no script."""
        import pol_jax  # in here, because the modules of the page import this one

        page: str = pol_jax.html.render(self)
        return page

    def _repr_html_(self) -> str:
        """Return the report as notebooks show it: the page in a frame of its own, so that its styles stay inside."""
        # An empty sandbox forbids scripts, forms and links out of the frame, whoever wrote the report that is shown.
        frame = "width: 100%; height: 32em; border: 1px solid #8884; border-radius: 6px"
        return f'<iframe sandbox="" title="Report" style="{frame}" srcdoc="{escape(self.to_html())}"></iframe>'

    def __bool__(self) -> bool:
        """Return whether the proof is accepted."""
        return self.verdict is Verdict.ACCEPTED

    @classmethod
    def unfinished(
        cls,
        policy: Policy | StepPolicy,
        nonce: bytes,
        environment: Environment,
        *,
        exact: bool = False,
        leaves: tuple[str, ...] = (),
    ) -> Report:
        """Return the report on a verification that has reached no stage and found nothing yet.

        Its verdict is "rejected": what is not shown to be true is not accepted.
        """
        known = {
            "format": FORMAT,
            "rules": RULES,
            "verdict": Verdict.REJECTED,
            "exact": exact,
            "leaves": leaves,
            "stages": tuple(StageResult.of(stage, Outcome.NOT_REACHED) for stage in Stage),
            "nonce": nonce.hex(),
            "policy": policy,
            "environment": environment,
            "program_origin": Origin.NOT_COMPARED,
        }
        return cls(**(_nothing_found() | known))

    def with_stage(self, stage: Stage, outcome: Outcome, detail: str = "") -> Report:
        """Return the report with the result of a stage in its place."""
        result = StageResult.of(stage, outcome, detail)
        stages = tuple(result if each.number == stage.value else each for each in self.stages)
        return msgspec.structs.replace(self, stages=stages)

    def to_json(self) -> bytes:
        """Return the report as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


@cache
def _nothing_found() -> dict[str, Any]:
    """Return a value for each field of a report that says nothing: an empty tuple, or None.

    The fields have no defaults of their own, so that a report that was stored must have all of them to be read.
    """
    return {name: () if get_origin(hint) is tuple else None for name, hint in get_type_hints(Report).items()}


def json_schema() -> bytes:
    """Return the JSON Schema of reports, which ``docs/report.schema.json`` holds."""
    schema = msgspec.json.schema(Report)
    for definition in schema["$defs"].values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"
