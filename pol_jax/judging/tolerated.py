"""Tolerances add up over a run; this is computed from the comparisons that passed (docs/protocol.md, section 13.1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pol_jax.judging.choice_bound import mean_choice
from pol_jax.judging.displacement import Displacement, room_up_to
from pol_jax.protocol.distances import finite
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.comparison import Compared, UsedDecisions


@dataclass(frozen=True)
class Tolerated:
    """Tolerated has the comparisons of a run, and says for how many of its steps they stand.

    Attributes:
        compared: what was compared as numbers.
        steps: T.
        drawn: the span of each step that was drawn at random: these stand for the whole run, and others for
            themselves. None where nothing was drawn, and all stand for the run.
        confidence: of the draw.
        leaves: places of the leaves that matter to the verifier; None for all.
    """

    compared: Sequence[Compared]
    steps: int
    drawn: Sequence[Span] | None = None
    confidence: float = 1.0
    leaves: Sequence[int] | None = None

    @property
    def distance(self) -> float | None:
        """Return how far the whole run could be off, if each step were off by what was tolerated where steps passed.

        That is the mean of what is allowed over the steps that passed, times T; 0 where everything was equal bit for
        bit, and None where no steps passed, or it is not finite.
        """
        passed = self._passed
        if not passed:
            return 0.0 if all(each.is_initial for each in self.compared) else None
        sizes = (math.inf if size is None else size for size in (each.allowed(0.0) for each in passed))
        own = sum(weight * size for weight, size in zip(self._weights, sizes, strict=True))
        # Added, and not the larger of both: a prover may use the tolerance and the choices in the same step.
        return finite(own + self._choices(lambda used: math.inf if used.choices is None else used.choices))

    def largest_share(self, spec: StateSpec, moved: Sequence[Displacement] | None) -> tuple[str | None, float | None]:
        """Return the leaf that tolerated errors could have led furthest, as a share of the way it went, and that share.

        Each leaf is held against itself, and its small elements against themselves too: a counter that runs far, or a
        large parameter, must not excuse another one.

        Args:
            spec: of the states.
            moved: how far each leaf went from the initial to the final state; None where that is not known.

        Returns:
            None and 0 where no steps passed within a tolerance; None and None where ``moved`` is not known.
        """
        passed, weights = self._passed, self._weights
        if not passed:
            return None, 0.0
        if moved is None:
            return None, None
        shares = {
            at: moved[at].share([each.rooms[at] for each in passed], weights, partial(self._choices_of_leaf, at))
            for at in (range(len(moved)) if self.leaves is None else self.leaves)
        }
        at = max(shares, key=shares.__getitem__)
        return spec[at].path, finite(shares[at])

    def _choices_of_leaf(self, leaf: int, most: int | None) -> float:
        """Return how far choices could have led the elements of a leaf up to a magnitude; None for all."""
        return self._choices(lambda used: room_up_to(used.rooms[leaf] if used.rooms else (), most))

    def _choices(self, size: Callable[[UsedDecisions], float]) -> float:
        """Return how far choices near ties could have led the run (`pol_jax.judging.choice_bound`).

        Args:
            size: tells how far near ties could have moved what is asked about, in a comparison.
        """
        used = {each.span: each.decisions for each in self._passed if each.decisions is not None}
        weights = {each.span: weight for each, weight in zip(self._passed, self._weights, strict=True)}
        # Listed steps stand for themselves alone, so what near ties could do in them counts in full (section 14.2).
        if self.drawn is None:
            return sum((weights[span] * size(each) for span, each in used.items()), 0.0)
        of_draw = [used[span] for span in self.drawn if span in used]
        most = max(map(size, of_draw), default=0.0)
        mean = mean_choice([_effect(each, size(each)) for each in of_draw], most, len(self.drawn), self.confidence)
        # The first and the last step were not drawn, so nothing is inferred from them: they count as they were seen.
        ends = sum((_effect(each, size(each)) for span, each in used.items() if span not in self.drawn), 0.0)
        return ends + mean * sum(weight for span, weight in weights.items() if span in self.drawn)

    @property
    def _passed(self) -> list[Compared]:
        return [each for each in self.compared if each.passed and not each.is_initial]

    @property
    def _weights(self) -> list[float]:
        """Return for how many comparisons of the run each one that passed stands.

        The first and the last step are in every challenge, and unlike others: the one begins with large updates, the
        other ends with small ones. They would lead the mean astray.
        """
        covered = sum(len(each.span.steps) for each in self._passed if self._stands(each))
        return [self.steps / covered if self._stands(each) else 1.0 for each in self._passed]

    def _stands(self, compared: Compared) -> bool:
        return self.drawn is None or compared.span in self.drawn


def _effect(used: UsedDecisions, could: float) -> float:
    """Return what used entries did, at most, of what near ties could do."""
    return used.share * could if used.share else 0.0
