"""The page shows the verdict first, then what was checked, and the details last."""

from __future__ import annotations

from importlib.resources import files

from pol_jax.reports.html.closeness import closeness
from pol_jax.reports.html.course import course
from pol_jax.reports.html.coverage import coverage
from pol_jax.reports.html.environments import environments
from pol_jax.reports.html.identity import identity
from pol_jax.reports.html.lineage import lineage
from pol_jax.reports.html.markup import Markup, tag, together, void
from pol_jax.reports.html.signs import OUTCOMES, VERDICTS
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.reports.wording.identity import not_checked
from pol_jax.reports.wording.verdicts import describe_extent, describe_verdict, is_partial

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""This content security policy lets a browser load nothing for the page, and run no script."""


def render(report: Report) -> str:
    """Return the report as an HTML document that needs no other file, no network and no script."""
    sections = (
        identity(report),
        lineage(report),
        coverage(report),
        closeness(report),
        _stages(report),
        course(report),
        environments(report),
        _digests(report),
    )
    body = tag("main", _verdict(report), *sections)
    return f"<!doctype html>\n{tag('html', _head(report), tag('body', body), lang='en')}\n"


def _head(report: Report) -> Markup:
    # The style is part of the page, so that the page can be kept and sent as one file.
    style = Markup(files("pol_jax.reports.html").joinpath("style.css").read_text(encoding="utf-8"))
    return tag(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="color-scheme", content="light dark"),
        tag("title", f"{report.verdict}: {_subject(report)}"),
        tag("style", style),
    )


def _subject(report: Report) -> str:
    return "proof of learning" if report.task is None else f"proof of learning, {report.task}"


def _verdict(report: Report) -> Markup:
    tone, mark = VERDICTS[report.verdict]
    if is_partial(report):
        tone, _ = VERDICTS[Verdict.INCONCLUSIVE]  # it must not look like a verdict on the whole run
    verdict, extent = describe_verdict(report), describe_extent(report)
    left_out = "; ".join(not_checked(report))
    sign = tag("span", mark, class_="sign", aria_hidden="true")
    return tag(
        "header",
        tag("p", _subject(report).capitalize() if report.task is None else _named(report.task), class_="subject"),
        tag("h1", sign, verdict[0].upper() + verdict[1:]),
        *([tag("p", f"{extent[0].upper()}{extent[1:]}.", class_="extent")] if extent else []),
        tag("ul", *(tag("li", reason) for reason in report.reasons), class_="reasons"),
        *([tag("p", f"Not checked: {left_out}.", class_="note")] if left_out else []),
        class_=f"verdict {tone}",
    )


def _named(task: str) -> Markup:
    return together("Proof of learning of ", tag("b", task))


def _stages(report: Report) -> Markup:
    rows = []
    for stage in report.stages:
        tone, sign = OUTCOMES[stage.outcome]
        outcome = together(tag("span", sign, class_="sign", aria_hidden="true"), stage.outcome)
        rows.append(
            tag(
                "tr",
                tag("td", stage.number, class_="number"),
                tag("th", stage.name, scope="row"),
                tag("td", outcome, class_=f"outcome {tone}"),
                tag("td", stage.detail, class_="detail"),
            )
        )
    names = (tag("th", name, scope="col") for name in ("", "Stage", "Outcome", "Finding"))
    table = tag("table", tag("thead", tag("tr", *names)), tag("tbody", *rows), class_="stages")
    return tag("section", tag("h2", "Stages"), table)


def _digests(report: Report) -> Markup:
    entries = (("Claim", report.claim), ("Commitment", report.commitment))
    listed = [
        together(tag("dt", name), tag("dd", tag("code", digest) if digest else "could not be read"))
        for name, digest in entries
    ]
    if report.inventory:
        listed.append(together(tag("dt", "Inventory, of the proof's bytes"), tag("dd", tag("code", report.inventory))))
    listed.append(together(tag("dt", "Program"), tag("dd", report.program_origin)))
    note = tag("p", f"Digests are BLAKE3, in hex. Format {report.format}.", class_="note")
    return tag("section", tag("h2", "Digests"), tag("dl", *listed), note)
