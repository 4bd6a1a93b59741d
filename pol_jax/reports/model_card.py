"""A model card says what a model is, which claim it is the result of, the verdict, and how anyone checks that."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pol_jax.errors import printable
from pol_jax.reports.report import Report
from pol_jax.reports.wording.coverage import describe_coverage
from pol_jax.reports.wording.identity import summary
from pol_jax.reports.wording.notices import notices
from pol_jax.reports.wording.verdicts import describe_verdict


class Exported(msgspec.Struct, frozen=True):
    """An exported model is one that was written to a file.

    Attributes:
        task: the prover's name for the task.
        claim: hex digest of the claim.
        blake3: hex BLAKE3 digest of the final parameters.
        prover: the public key that the commitment names, or None.
        steps: number of steps of the run.
        metrics: of the last step, by name, as the ledger has them.
        file: name of the file.
    """

    task: str
    claim: str
    blake3: str
    prover: str | None
    steps: int
    metrics: Mapping[str, float]
    file: str


def model_card(model: Exported, report: Report | None) -> str:
    """Return a model card in Markdown, as model hubs show it.

    Args:
        model: what was written.
        report: on a verification of its proof; None if nobody verified it.
    """
    signer = f" --signer {model.prover}" if model.prover else ""
    lines = [
        "---",  # what stands between these lines is YAML, which hubs read
        "library_name: jax",
        "tags:",
        "- proof-of-learning",
        "---",
        "",
        f"# {_quoted(model.task)}",
        "",
        f"The file `{model.file}` holds the final parameters of a run of {model.steps} steps. The run has a proof of",
        "learning: a record of its training that anyone can check by replaying a part of it.",
        "",
        "| | |",
        "| --- | --- |",
        f"| claim | `{model.claim}` |",
        f"| final parameters (BLAKE3) | `{model.blake3}` |",
        f"| prover | {f'`{model.prover}`' if model.prover else 'anonymous'} |",
        *(f"| {_quoted(name)} of the last step | {value:.6g} |" for name, value in sorted(model.metrics.items())),
        "",
        "## Verification",
        "",
        *_verified(report),
        "",
        "## How to check it",
        "",
        "With the proof, and the prover's public key from its owner (the key above is only what this card says):",
        "",
        "```sh",
        f"pol verify PROOF{signer} --model {model.file}",
        "```",
        "",
        "Without the proof, the documents in `proof-of-learning` are enough to challenge the prover:",
        "",
        "```sh",
        f"pol check proof-of-learning{signer}",
        "pol challenge proof-of-learning                  # the prover answers with an opening",
        f"pol verify proof-of-learning --opening OPENING --nonce NONCE{signer} --model {model.file}",
        "```",
        "",
    ]
    return "\n".join(lines)


def _verified(report: Report | None) -> list[str]:
    if report is None:
        return ["Whoever wrote this card verified nothing."]
    covered = f"; {describe_coverage(report.coverage, report.policy)}" if report.coverage else ""
    lines = [f"Verdict: **{describe_verdict(report)}**{covered}.", ""]
    lines += [f"- {_escaped(line)}" for line in notices(report)]
    lines += [f"- {question}: {_escaped(answer)}" for question, answer in summary(report)]
    return [
        *lines,
        "",
        "The whole report is in `report.html` and `report.json`. It is the exporter's; verify for yourself.",
    ]


def _quoted(text: str) -> str:
    """Return words of the prover as code, which Markdown doesn't interpret."""
    # A backtick would end the code, and a bar the cell of the table in which it stands.
    return f"`{printable(text, 120).replace('`', chr(39)).replace('|', '/')}`"


def _escaped(text: str) -> str:
    """Return a line without Markdown or HTML in it."""
    plain = printable(text, 1000)
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#" else character for character in plain)
