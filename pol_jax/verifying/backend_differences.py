"""A backend can judge a run by bits if it is the prover's, or if the program computes alike on every one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec

from pol_jax.exact import SelfTest, self_test
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.program.operations import DEVICE_KEYS
from pol_jax.protocol.claim import INITIAL, Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.environment import Environment
from pol_jax.protocol.spans import Span
from pol_jax.reports.comparison import Compared
from pol_jax.reports.outcomes import Outcome

Differences = Callable[[Iterable[Span]], Sequence[str]]
"""Returns why other bits of some steps on this backend would say nothing about them, one line each; empty if they do.

A claim names the environment of each step; `pol_jax.protocol.claim.INITIAL` stands for the initial state.
"""

_GENERATOR: Final = ("platform", "device_kind", "jaxlib")
"""These fields of an environment decide which generator of random numbers a device has."""

PRODUCTS_SHARE: Final = 0.1
"""The largest error, as a share of the update, that factors of 8 bits may explain: they give errors of a few percent,
and a false step one of about 1."""


@dataclass(frozen=True)
class BackendDifferences:
    """Backend differences say whether this backend can judge bits that differ (section 13.1).

    A program in exact arithmetic has the same bits on every backend that keeps its rules, which a self-test shows. Any
    other program may have other bits where the environment is not the one that the claim names.

    Attributes:
        commitment: of the run.
        claim: of the run.
        own: the environment here.
        open_products: whether the program leaves open how precisely products are computed.
    """

    commitment: Commitment
    claim: Claim
    own: Environment
    open_products: bool = False

    def __call__(self, spans: Iterable[Span]) -> Sequence[str]:
        """Return why other bits of these steps would say nothing about them, as `Differences` does."""
        if self.commitment.arithmetic is None:
            return differences_from(self.commitment, self.claim, self.own, spans)
        return [] if self._tested else [str(self._tested)]

    @cached_property
    def _tested(self) -> SelfTest:
        return self_test()

    def left_open(self, compared: Compared) -> Compared:
        """Leave a comparison open that failed, where another device may compute what is no rounding."""
        if compared.outcome is not Outcome.FAILED:
            return compared
        span = INITIAL if compared.is_initial else compared.span
        made = [each.environment for each in self.claim.environments_of(span)]
        why = self._other_draw(made) or self._other_products(made, compared)
        if why is None:
            return compared
        # Open and not passed: the numbers still differ, and nobody has shown that this explanation is the true one.
        return msgspec.structs.replace(compared, outcome=Outcome.INCONCLUSIVE, reasons=(why, *compared.reasons))

    def _other_draw(self, made: Iterable[Environment]) -> str | None:
        """Say that the device's own generator may have drawn other random numbers, as some PRNGs do (section 7)."""
        prng = self.commitment.schedule.prng
        other = any(getattr(each, name) != getattr(self.own, name) for each in made for name in _GENERATOR)
        if not other or prng not in DEVICE_KEYS:
            return None
        return f"keys of {prng} may give other random numbers on the prover's device than here"

    def _other_products(self, made: Iterable[Environment], compared: Compared) -> str | None:
        """Say that the device may have cut the factors of products: to bfloat16 on a TPU, to TF32 on a GPU."""
        pairs = [((each.platform, each.device_kind), (self.own.platform, self.own.device_kind)) for each in made]
        other = any(a != b and {a[0], b[0]} != {"cpu"} for a, b in pairs)
        near = compared.error is not None and compared.error <= PRODUCTS_SHARE * (compared.update or 0.0)
        # The audit looks for open products in `step` alone, so this says nothing about the initial state.
        if compared.is_initial or not (other and near and self.open_products):
            return None
        return (
            "the program leaves the precision of its products open, and the prover's device may have rounded their "
            "factors to fewer bits"
        )


def differences_from(
    commitment: Commitment, claim: Claim, own: Environment, spans: Iterable[Span] | None = None
) -> list[str]:
    """Return in what this backend differs from those of some steps, one line each: another environment, few devices.

    Args:
        commitment: of the run.
        claim: of the run.
        own: the environment here.
        spans: the steps, with `INITIAL` for the initial state; None for the whole run.
    """
    found, mesh = claim.environment_differences(own, spans), commitment.mesh
    # On fewer devices, sums over devices are taken in another order (section 13.1, reason 2).
    if mesh is not None and own.device_count < mesh.device_count:
        found.append(f"mesh: {mesh.device_count} devices ({mesh}) against {own.device_count} here")
    elif mesh is not None and not mesh.divides(commitment.schedule.batch_size):
        batch = commitment.schedule.batch_size
        found.append(f"mesh: jax can't divide batches of {batch} records evenly among its devices ({mesh})")
    return found


def differences_where(
    differences: Differences, initial_exact: bool | None, results: Sequence[ReplayResult]
) -> Sequence[str]:
    """Return why what differs says nothing here: in what this backend is not that of any of the steps that differ.

    A replay ends at the first step that differs, and that step counts. Where this very machine made one of them, as the
    claim says, bits decide, whatever it says of others: nobody may name another machine for one step to have a false
    one of this machine compared as numbers.
    """
    spans = [
        *([INITIAL] if initial_exact is False else []),
        *(_differing_step(each) for each in results if not each.exact),
    ]
    lines = [differences([span]) for span in spans]
    return list(dict.fromkeys(line for each in lines for line in each)) if all(lines) else ()


def deciding_replay(differences: Differences, results: Sequence[ReplayResult]) -> list[ReplayResult]:
    """Return the replay that is run a second time, since what it gave decides: none if all are exact.

    It is the first that differs in a step that this very machine made, as the claim says, or else the first.
    """
    differing = [each for each in results if not each.exact]
    # Only a difference in such a step can reject, so this is the one that must come out the same a second time.
    own = [each for each in differing if not differences([_differing_step(each)])]
    return (own or differing)[:1]


def _differing_step(result: ReplayResult) -> Span:
    assert result.mismatch is not None  # noqa: S101  # it is not exact
    return Span(result.mismatch - 1, result.mismatch)
