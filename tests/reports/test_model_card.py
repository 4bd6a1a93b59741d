"""A model card in Markdown: what it says of the run, and that nothing of the prover's is markup in it."""

from __future__ import annotations

import re

import pytest
from example_reports import HOSTILE, unfinished

from pol_jax.protocol.policies import ListedSegments
from pol_jax.reports.coverage import Coverage
from pol_jax.reports.identity import Data, Model
from pol_jax.reports.model_card import Exported, model_card
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.reports.provenance import Origin

PROVER = "ed25519:" + "1" * 64
MODEL = Exported("digits", "0" * 64, "2" * 64, PROVER, 300, {"loss": 0.1234567891, "accuracy": 1.0}, "model.npz")


def test_a_card_names_run_model_and_prover() -> None:
    lines = model_card(MODEL, None).splitlines()
    assert lines[0] == "---"
    assert lines[6] == "# `digits`"
    table = [line for line in lines if line.startswith("| ")][2:]
    assert table == [
        f"| claim | `{'0' * 64}` |",
        f"| final parameters (BLAKE3) | `{'2' * 64}` |",
        f"| prover | `{PROVER}` |",
        "| `accuracy` of the last step | 1 |",
        "| `loss` of the last step | 0.123457 |",
    ]
    assert f"pol verify PROOF --signer {PROVER} --model model.npz" in lines
    assert "Whoever wrote this card verified nothing." in lines


def test_a_card_of_an_anonymous_run_asks_for_no_signer() -> None:
    anonymous = Exported("digits", "0" * 64, "2" * 64, None, 300, {}, "model.npz")
    card = model_card(anonymous, None)
    assert "| prover | anonymous |" in card
    assert "--signer" not in card


def test_a_card_says_what_was_verified_and_what_was_not() -> None:
    report = unfinished(
        verdict=Verdict.ACCEPTED,
        mode=Mode.BITS,
        policy=ListedSegments((0,)),
        coverage=Coverage("segment", 4, (0,), 24, 6, 0.05, 0.0),
        model=Model("3" * 64, "2" * 64, None),
    )
    lines = model_card(MODEL, report).splitlines()
    (verdict,) = [line for line in lines if line.startswith("Verdict: ")]
    assert verdict.startswith("Verdict: **accepted, bit for bit")
    assert "replayed 1 of 4 segments (6 of 24 steps)" in verdict
    assert "- program: not compared with any source" in lines
    assert f"- model: final parameters, BLAKE3 {'2' * 64}; final state {'3' * 64}" in lines
    assert "- not checked: 3 of 4 segments, which were not replayed" in lines
    assert not any("verified nothing" in line for line in lines)
    ended = model_card(MODEL, unfinished(program_origin=Origin.TRUSTED))
    assert "Verdict: **rejected**." in ended


@pytest.mark.parametrize("mark", ["`", "|", "<b>", "*", "[", "#"])
def test_words_of_the_prover_are_no_markup(mark: str) -> None:
    model = Exported(f"a{mark}b", "0" * 64, "2" * 64, None, 1, {f"c{mark}d": 1.0}, "model.npz")
    report = unfinished(data=Data("0" * 64, 10, salted=True, compared=f"e{mark}f"))
    card = model_card(model, report)
    code = re.findall(r"`([^`\n]*)`", re.sub(r"```sh.*?```", "", card, flags=re.DOTALL))
    quoted = mark.replace("`", "'").replace("|", "/")
    assert code[0] == f"a{quoted}b"
    assert f"c{quoted}d" in code
    assert f"e{mark}f" not in card
    assert f"e\\{mark}".replace(">", "\\>") + "f" in card


def test_a_name_is_cut_and_shows_nothing_but_itself() -> None:
    card = model_card(Exported(HOSTILE, "0" * 64, "2" * 64, None, 1, {}, "model.npz"), None)
    assert not {"\x00", "\u202e"} & set(card)
    assert "w" * 200 not in card
