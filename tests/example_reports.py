"""Reports whose pages are looked at: one of each kind, and the worst that their types allow."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import msgspec

from pol_jax.protocol.environment import Environment
from pol_jax.protocol.policies import AllSegments, ListedSteps, TopSegments
from pol_jax.reports.comparison import Compared
from pol_jax.reports.coverage import Coverage, Replay
from pol_jax.reports.curves import Point, Update
from pol_jax.reports.identity import Authorship, Data, Deployed, Model
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.provenance import Ancestor, Beginning, Origin, Provenance
from pol_jax.reports.report import Report
from pol_jax.reports.states import KolmogorovSmirnov

HOSTILE = "<script>alert(1)</script>\"' onload=x &amp;\u202e\x00\n" + "w" * 200


Reports = dict[str, Report]


def unfinished(**facts: Any) -> Report:
    """A report on a verification that has found nothing, but for these facts."""
    environment = Environment("cpu", "", "cpu", 1, 1, "0.10.2", "0.10.2", (), "x86_64", "", (), 2, "none", (), (), ())
    return msgspec.structs.replace(Report.unfinished(AllSegments(), b"", environment), **facts)


def compared(
    stop: int, error: float | None, outcome: Outcome = Outcome.PASSED, *, start: int | None = None
) -> Compared:
    """A step whose numbers are ``error`` and other shares of an update of 1/32."""
    update, start = 1 / 32, stop - 1 if start is None else start
    off = None if error is None else error * update
    noise, tolerance, limit = (share * update for share in (1e-6, 1e-5, 1e-3))
    return Compared(start, stop, outcome, (), update, noise, tolerance, limit, off, 0.0, 0.0, 0.0, False)


COMPARED = {
    "many": [compared(1000 * at, 10.0 ** (-9 + at / 20)) for at in range(1, 100)],
    "failed": [
        compared(1, 0.0),
        compared(999, 0.75, Outcome.FAILED),
        compared(1000, None, Outcome.INCONCLUSIVE),
        compared(1006, 2e-3, Outcome.INCONCLUSIVE, start=1000),
    ],
    "one step": [compared(417, 3e-7)],
    "initial": [compared(0, 0.0, start=-1)],
}


def opening(report: Report, *closely: Compared) -> Report:
    """A report on an opening: of twelve steps came out bit for bit, and of those that did not."""
    others = [Replay(each.stop, each.start, each.stop, each.stop, ("loss",)) for each in closely if each.start >= 0]
    exact = [Replay(step, step - 1, step, None, ()) for step in range(20, 32)]
    steps = tuple(each.stop for each in (*exact, *others))
    return msgspec.structs.replace(
        report,
        policy=ListedSteps(steps),
        coverage=Coverage("step", 200_000, steps, 200_000, len(steps), 0.05, 0.0),
        replays=(*exact, *others),
        compared=closely,
        self_test=None,
    )


def hostile(report: Report) -> Report:
    """A report whose texts and numbers are the worst that its types allow."""
    replace, most = msgspec.structs.replace, 2**53 - 1
    texts = {
        name: (HOSTILE,) if isinstance(value, tuple) else HOSTILE
        for name, value in msgspec.structs.asdict(report.environment).items()
        if isinstance(value, tuple | str)
    }
    ancestor = Ancestor(
        HOSTILE, Verdict.ACCEPTED, (HOSTILE,), HOSTILE, TopSegments(most), None, None, Origin.NOT_COMPARED
    )
    worst = replace(
        report,
        task=HOSTILE,
        reasons=(HOSTILE, HOSTILE),
        stages=tuple(replace(stage, detail=HOSTILE) for stage in report.stages),
        claim=HOSTILE,
        inventory=HOSTILE,
        provenance=Provenance(Beginning.UNPROVEN_WEIGHTS, HOSTILE, HOSTILE, (HOSTILE,) * 200, 2**60, most),
        ancestors=(ancestor,) * 9,
        initial_test=KolmogorovSmirnov(most, 5e-324, HOSTILE),
        policy=TopSegments(most),
        coverage=Coverage("segment", most, (most,), most, most, 1e308, 1e308),
        replays=tuple(Replay(at, most, 0, most, (HOSTILE,)) for at in (most, 0, 3)) * 20,
        curve=(Point(0, 0, -1e39), Point(1, most, None), Point(most, most, 1e39)),
        compared=tuple(
            Compared(start, most, outcome, (HOSTILE,), update, 1e308, -1.0, 1e-9, 5e-324, 0.0, 0.0, 0.0, True)
            for start, update in ((-1, None), (most - 2, 1e308), (most - 1, 5e-324))
            for outcome in Outcome
        )
        * 20,
        updates=(Update(0, most, 5e-324), Update(0, 0, -1.0), Update(most, most, 1e308)),
        claimed_environment=replace(report.environment, **texts),
        model=Model(HOSTILE, HOSTILE, HOSTILE),
        authorship=Authorship(HOSTILE, HOSTILE, commitment_signed=True, pinned=None),
        data=Data(HOSTILE, most, salted=True, compared=HOSTILE),
        deployed=Deployed("different", HOSTILE, (HOSTILE,) * 20, most, False, 1e308, most),
    )
    return msgspec.json.decode(worst.to_json(), type=Report)


NAMES = ["accepted", "rejected", "inconclusive", "early", "hostile", *COMPARED]


class Elements(HTMLParser):
    """Every element of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.names, self.text = list[str](), set[str](), ""
        self._open = list[str]()
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names.update(name for name, _ in attrs)
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
