"""The tables of docs/attacks.md, made from the results; each stands between two comments that name it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pol_jax.attacks.catalogue import ATTACKS, attack_named
from red_team.modes import MODES
from red_team.tally import ModeTally, Results, Tally

ALLOWED: Final = 0.1
"""So much of the way may be false where numbers are compared (docs/protocol.md, section 13.1)."""

HEADINGS: Final = ("attack", "paper's rule", *MODES, "gain", "cost", "forgers", "draws that miss")


def succeeds(tally: Tally) -> bool:
    """Return whether any mode, those without a trusted source too, accepts more than is said to be allowed."""
    accepted = any(each.share("accepted") for each in tally.modes.values())
    promised = attack_named(tally.attack).promised
    return accepted and promised and (1.0 if tally.gain is None else tally.gain) > ALLOWED


def row_of(tally: Tally) -> list[str]:
    """Return the cells of an attack."""
    missed = tally.sampled
    sampled = ""
    if missed:
        low, high = missed.interval
        sampled = f"{missed.missed}/{missed.draws}: {low:.3f} to {high:.3f}; announced {missed.expected:.3f}"
    return [
        f"**{tally.attack}**" if succeeds(tally) else tally.attack,
        f"accepted {tally.paper.get('accepted', 0)}/{sum(tally.paper.values())}",
        *(_cell(tally.modes[mode]) if mode in tally.modes else "" for mode in MODES),
        "" if tally.gain is None else f"{tally.gain:.1e}",
        f"{tally.cost / max(1, tally.trials):.2f}",
        str(tally.trials),
        sampled,
    ]


def _cell(mode: ModeTally) -> str:
    """Return the verdicts, and how many of the false parts passed."""
    ordered = sorted(mode.verdicts.items(), key=lambda each: -each[1])
    said = ", ".join(f"{short} {count}" if len(ordered) > 1 else short for short, count in ordered)
    return f"{said}; {mode.passed}/{mode.parts}" if mode.parts else said


def trials_table(results: Results) -> Iterable[str]:
    """Yield the table of attacks on whole proofs of small tasks."""
    yield from _heading(HEADINGS)
    for attack in ATTACKS:
        if tally := results.trials.get(attack.name):
            yield _row(row_of(tally))


def larger_table(results: Results) -> Iterable[str]:
    """Yield the table of attacks on whole proofs of larger tasks."""
    yield from _heading(("task", *HEADINGS))
    for task, tallies in results.larger.items():
        for attack in ATTACKS:
            if (tally := tallies.get(attack.name)) and tally.trials:
                yield _row([task, *row_of(tally)])


def reasons_table(results: Results) -> Iterable[str]:
    """Yield the stage and the reason of what was said most often, for bits and for numbers."""
    yield from _heading(("attack", "bits", "tolerance"))
    for attack in ATTACKS:
        if tally := results.trials.get(attack.name):
            yield _row([attack.name, *(_commonest_reason(tally.mode(name)) for name in ("bits", "tolerance"))])


def _commonest_reason(mode: ModeTally) -> str:
    if not mode.verdicts:
        return ""
    short = max(mode.verdicts, key=lambda each: mode.verdicts[each])
    return f"{short}: {_shortened(mode.reasons[short])}"


def _shortened(text: str, most: int = 160) -> str:
    plain = text.replace("|", "/")
    return plain if len(plain) <= most else f"{plain[: most - 3]}..."


def steps_table(results: Results) -> Iterable[str]:
    """Yield the table of single false steps of larger tasks."""
    yield from _heading(("task", "attack", "bits", "tolerance", "decisions", "largest push that passes"))
    for task, tallies in results.steps.items():
        for tally in tallies.values():
            cells = [_passed(tally.modes.get(name)) for name in ("bits", "tolerance", "decisions")]
            gain = "" if tally.gain is None else f"{tally.gain:.1e} of the update"
            yield _row([task, tally.attack, *cells, gain])


def _passed(mode: ModeTally | None) -> str:
    if mode is None or not mode.parts:
        return ""
    opened = mode.share("inconclusive")
    return f"{mode.passed}/{mode.parts}" + (f", {opened} open" if opened else "")


WAYS: Final = ("bits", "directory", "opened")
"""How honest proofs are judged: on the prover's backend; on another one; and there by opened steps, if still open."""

VERDICTS: Final = ("accepted", "inconclusive", "rejected")


def honest_table(results: Results) -> Iterable[str]:
    """Yield how honest proofs were judged: over all tasks first, with the share that stays open, then each."""
    total = Counter[str]()
    for counts in results.honest.values():
        total.update(counts)
    yield from _heading(("task and seed", *(f"{way}: {'/'.join(VERDICTS)}" for way in WAYS)))
    proofs, left = proofs_of(total), total["opened: inconclusive"]
    share = f", {left} of them inconclusive in the end ({left / proofs:.0%})" if proofs else ""
    yield _row([f"all {len(results.honest)}, {proofs} proofs{share}", *(_counted(total, way) for way in WAYS)])
    for name, counts in results.honest.items():
        yield _row([name, *(_counted(counts, way) for way in WAYS)])


def proofs_of(counts: Mapping[str, int]) -> int:
    """Return how many proofs were judged: each as a directory once, by bits or by numbers."""
    return sum(count for key, count in counts.items() if key.split(":")[0] in ("bits", "directory"))


def _counted(counts: Mapping[str, int], way: str) -> str:
    return "/".join(str(counts.get(f"{way}: {verdict}", 0)) for verdict in VERDICTS)


def commands_table(results: Results) -> Iterable[str]:
    """Yield what the command line said."""
    yield from _heading(("attack", "`pol verify FORGED --task TASK --all`"))
    for name, said in results.commands.items():
        yield _row([name, said])


def catalogue_table(results: Results) -> Iterable[str]:
    """Yield what the attacks are."""
    yield from _heading(("attack", "published by", "what it makes", "assumes", "promised"))
    for attack in ATTACKS:
        yield _row([attack.name, attack.source, attack.makes, attack.assumes, "yes" if attack.promised else "no"])


TABLES: Final = {
    "catalogue": catalogue_table,
    "trials": trials_table,
    "larger": larger_table,
    "reasons": reasons_table,
    "steps": steps_table,
    "honest": honest_table,
    "commands": commands_table,
}


def with_tables(text: str, results: Results) -> str:
    """Return a document with today's tables between ``<!-- table: NAME -->`` and ``<!-- end -->``."""

    def renew(found: re.Match[str]) -> str:
        name = found[1]
        lines = "\n".join(TABLES[name](results))
        return f"<!-- table: {name} -->\n{lines}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", renew, text, flags=re.S)


def _heading(cells: Sequence[str]) -> Iterable[str]:
    yield _row(cells)
    yield f"|{' --- |' * len(cells)}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
