"""What tolerances add up to over a run, from the comparisons that passed (docs/protocol.md, section 13.1)."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pol_jax.judging.decision_use import rooms_with_choices
from pol_jax.judging.displacement import Displacement
from pol_jax.protocol.distances import finite
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.comparison import Compared


@dataclass(frozen=True)
class Tolerated:
    """The comparisons of a run, and for how many steps of it they stand.

    Attributes:
        compared: what was compared as numbers.
        steps: T.
        drawn: the spans of the steps that were drawn at random: these stand for the whole run, and others for
            themselves. None where nothing was drawn, and all stand for the run.
        chosen: share of what choices near ties could move that counts at least (`pol_jax.judging.decision_use`).
        leaves: places of the leaves that matter to the verifier; None for all.
    """

    compared: Sequence[Compared]
    steps: int
    drawn: Collection[Span] | None = None
    chosen: float = 1.0
    leaves: Sequence[int] | None = None

    @property
    def distance(self) -> float | None:
        """How far the whole run could be off, if each step were off by what was tolerated in those that passed.

        That is the mean of what is allowed over the steps that passed, times T; 0 where everything was equal bit for
        bit, and None where no steps passed, or it is not finite.
        """
        passed = self._passed
        if not passed:
            return 0.0 if all(each.is_initial for each in self.compared) else None
        allowed = [each.allowed(self._chosen(each)) for each in passed]
        sizes = (math.inf if size is None else size for size in allowed)
        return finite(sum(weight * size for weight, size in zip(self._weights, sizes, strict=True)))

    def largest_share(self, spec: StateSpec, gone: Sequence[Displacement] | None) -> tuple[str | None, float | None]:
        """The leaf that tolerated errors could have led furthest astray, against its own way, and that share.

        Each leaf is held against itself, and its small elements against themselves too: a counter that runs far, or a
        large parameter, must not excuse another one.

        Args:
            spec: of the states.
            gone: how far each leaf went from the initial to the final state; None where that is not known.

        Returns:
            None and 0 where no steps passed within a tolerance; None and None where ``gone`` is not known.
        """
        passed, weights = self._passed, self._weights
        if not passed:
            return None, 0.0
        if gone is None:
            return None, None
        shares = {
            at: gone[at].share([rooms_with_choices(each, at, self._chosen(each)) for each in passed], weights)
            for at in (range(len(gone)) if self.leaves is None else self.leaves)
        }
        at = max(shares, key=shares.__getitem__)
        return spec[at].path, finite(shares[at])

    def _chosen(self, compared: Compared) -> float:
        """The share of what near ties could move in a comparison that counts.

        What was seen to be taken there counts whole: a prover may take little where little can be moved, and much in
        the last step, or in a few that move far.
        """
        return max(self.chosen, compared.decisions.share) if compared.decisions else self.chosen

    @property
    def _passed(self) -> list[Compared]:
        return [each for each in self.compared if each.passed and not each.is_initial]

    @property
    def _weights(self) -> list[float]:
        """For how many comparisons of the run each one that passed stands.

        The first and the last step are in every challenge, and unlike others: the one begins with large updates, the
        other ends with small ones. They would lead the mean astray.
        """
        stands = [self.drawn is None or each.span in self.drawn for each in self._passed]
        lengths = [len(each.span.steps) for each in self._passed]
        covered = sum(length for length, stand in zip(lengths, stands, strict=True) if stand)
        return [self.steps / covered if stand else 1.0 for stand in stands]
