"""The chart of comparisons within a tolerance."""

from __future__ import annotations

import re

from example_reports import Elements, Reports

from pol_jax.reports.html import render


def test_chart_has_a_column_for_each_comparison_and_its_numbers(reports: Reports) -> None:
    page = render(reports["failed"])
    text = Elements(page).text
    assert "12 steps equal the ledger bit for bit, which is an error of 0. Compared as numbers" in text
    assert "1 passed, 1 failed, 2 inconclusive." in text
    assert "The largest error is in step 1000: it is not finite, or the update there is 0 or not finite." in text
    _, _, chart = page.partition('class="chart"')
    chart, _, rest = chart.partition('<ul class="legend"')
    marks = re.findall(r'class="mark (\w+)"', chart)
    assert marks == ["passed", "failed", "inconclusive", "inconclusive"]
    labels = re.findall(r">([^<>]+)</text>", chart)
    assert {"0", "\u221e", "1", "10\u207b\u2074", "update", "limit", "1,000"} <= set(labels)
    legend, _, table = rest.partition("<table")
    assert all(word in legend for word in ("error, passed", "error, inconclusive", "error, failed", "limit", "update"))
    rows = [re.findall(r"<t[dh].*?>([^<]*)</t[dh]>", row) for row in table.partition("</table>")[0].split("<tr>")[2:]]
    share = ["3.1e-08", "3.1e-07", "3.1e-05", "3.1e-02"]
    assert [row[0] for row in rows] == ["step 1", "step 999", "step 1000", "steps 1001 to 1006"]
    assert [row[-5:] for row in rows] == [[error, *share] for error in ("0", "2.3e-02", "not finite", "6.3e-05")]


def test_chart_of_one_names_its_marks(reports: Reports) -> None:
    assert "bits differ on this machine: step 417, passed." in render(reports["one step"])
    assert "bits differ on this machine: the initial state, passed." in render(reports["initial"])
    for page in map(render, (reports["one step"], reports["initial"])):
        assert all(f">{word}</text>" in page for word in ("error", "noise", "tolerance"))
