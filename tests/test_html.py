"""The page of a report, as text and as a browser shows it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import pytest
import tiny
from conftest import NONCE
from forge import Forger

from pol_jax.protocol.challenge import (
    AllSegments,
    JointSegments,
    ListedSegments,
    ListedSteps,
    RandomSegments,
    TopSegments,
)
from pol_jax.reports.curves import Point, Update
from pol_jax.reports.html import render
from pol_jax.reports.html.axis import Axis, axis_of, number
from pol_jax.reports.html.markup import Markup, tag, together
from pol_jax.reports.report import (
    Ancestor,
    Beginning,
    Compared,
    Coverage,
    KolmogorovSmirnov,
    Origin,
    Outcome,
    Provenance,
    Replay,
    Report,
    Verdict,
)
from pol_jax.verifying.proof_verifier import verify

HOSTILE = "<script>alert(1)</script>\"' onload=x &amp;\u202e\x00\n" + "w" * 200
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--v=0"),
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

Reports = dict[str, Report]


@pytest.fixture(scope="module")
def reports(plain_proof: Path, tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """One of each verdict, one that ended early, and one that is full of what breaks pages."""
    folder, found = tmp_path_factory.mktemp("reports"), dict[str, Report]()
    source = tiny.plain().source
    found["accepted"] = verify(plain_proof, source, policy=JointSegments(1), nonce=NONCE)
    for name, changes in (("rejected", {}), ("inconclusive", {"jaxlib": "0.0.1", "cpu_features": ("avx", "mmx")})):
        forger = Forger(Path(shutil.copytree(plain_proof, folder / name)))
        forger.change(9, state=bytes(32))
        forger.write(environment=msgspec.structs.replace(forger.claim.environment, **changes))
        found[name] = verify(forger.root, source, policy=AllSegments(), nonce=NONCE)
    assert [report.verdict.value for report in found.values()] == list(found)
    broken = Path(shutil.copytree(plain_proof, folder / "early"))
    (broken / "claim.json").unlink()
    found["early"] = verify(broken, source, nonce=NONCE)
    found["hostile"] = hostile(found["inconclusive"])
    return found | {name: opening(found["accepted"], *cases) for name, cases in COMPARED.items()}


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


@pytest.mark.parametrize("name", NAMES)
def test_page_is_well_formed_and_needs_nothing_else(reports: Reports, name: str) -> None:
    page = Elements(render(reports[name]))
    assert not {"script", "link", "img", "iframe", "object", "base", "form", "a"} & set(page.tags)
    assert not {"src", "href", "style"} & page.names
    assert not any(each.startswith("on") for each in page.names)
    assert "url(" not in page.text
    assert "@import" not in page.text


@pytest.mark.parametrize("name", ["accepted", "rejected", "inconclusive"])
def test_page_says_what_the_report_says(reports: Reports, name: str) -> None:
    report = reports[name]
    text = Elements(render(report)).text
    assert report.verdict.capitalize() in text
    for fact in (*report.reasons, *(stage.detail for stage in report.stages), report.claim, report.nonce):
        assert fact in text
    headings = ["Coverage", "Reproduction error", "Stages", "Course of the run", "Environments", "Digests"]
    assert re.findall(r"<h2>(.*?)</h2>", render(report)) == headings
    assert "Updates between checkpoints" in text
    assert ("Segment 1, steps 7 to 12: the replay of step 9 differs from the ledger" in text) == (name != "accepted")
    assert ("The two environments differ in jaxlib, cpu features." in text) == (name == "inconclusive")


def test_error_is_told_in_words_where_bits_decide(reports: Reports) -> None:
    page = render(reports["accepted"])
    assert "24 steps in 4 segments equal the ledger bit for bit, which is an error of 0.</p>" in page
    assert "Error of each comparison" not in page
    exact = "18 steps in 3 segments equal the ledger bit for bit, which is an error of 0. "
    assert f"{exact}1 segment differs from the ledger; bits were compared" in render(reports["rejected"])
    assert "Reproduction error" not in render(reports["early"])


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


def test_chart_of_many_keeps_the_worst(reports: Reports) -> None:
    page = render(reports["many"])
    assert "99 passed." in page
    assert "The 60 worst comparisons are shown, 39 more are not." in page
    shown = [int(step) for step in re.findall(r">step (\d+)</th>", page)]
    assert shown == [1000 * at for at in range(40, 100)]
    assert "The largest error is 8.9e-05 of the update, in step 99000." in page


def test_chart_of_one_names_its_marks(reports: Reports) -> None:
    assert "bits differ on this machine: step 417, passed." in render(reports["one step"])
    assert "bits differ on this machine: the initial state, passed." in render(reports["initial"])
    for page in map(render, (reports["one step"], reports["initial"])):
        assert all(f">{word}</text>" in page for word in ("error", "noise", "tolerance"))


def test_steps_that_say_nothing_are_not_called_false(reports: Reports) -> None:
    """Neither those whose comparison is inconclusive, nor, without one, those of an inconclusive verdict."""
    assert "replayed, can&#x27;t be judged here: 7" in render(reports["failed"])
    assert "replayed, differs: 1<" in render(reports["failed"])
    assert "replayed, can&#x27;t be judged here" not in render(reports["rejected"])
    assert "replayed, differs: 0<" in render(reports["inconclusive"])


def test_page_of_a_verification_that_ended_early(reports: Reports) -> None:
    text = Elements(render(reports["early"])).text
    assert "replayed nothing. It ended in stage 1, limits and names." in text
    assert "Course of the run" not in text
    assert "could not be read" in text


def test_every_text_is_escaped(reports: Reports) -> None:
    page = render(reports["hostile"])
    assert "<script" not in page
    assert "\x00" not in page
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;") > 20
    assert "40 more segments differ" in page


def test_loss_may_be_finite_nowhere(reports: Reports) -> None:
    page = render(msgspec.structs.replace(reports["accepted"], curve=(Point(1, 1, None),), updates=()))
    assert "The loss is not finite at any step." in page
    zero = msgspec.structs.replace(reports["accepted"], updates=(Update(0, 6, 0.0), Update(6, 12, None)))
    assert "No update is positive and finite." in render(zero)


def test_runs_of_one_step_and_of_very_many(reports: Reports) -> None:
    one = Coverage("segment", 1, (0,), 1, 1, 0.05, 1.0)
    report = msgspec.structs.replace(reports["accepted"], coverage=one, curve=(Point(1, 1, 2.0),), updates=())
    assert "<circle" in render(report)
    many = Coverage("segment", 10**6, (5, 999_999), 10**7, 20, 0.05, 0.1)
    replays = (Replay(5, 50, 60, None, ()), Replay(999_999, 10**7 - 10, 10**7, 10**7, ("loss",)))
    policy = ListedSegments(tuple(range(10**5)))
    page = render(msgspec.structs.replace(report, coverage=many, replays=replays, policy=policy))
    assert "--segments 0-99999" in page
    assert len(page) < 50_000
    assert "not replayed: 999,998" in page


def test_markup_escapes_all_but_itself() -> None:
    assert tag("p", "<", Markup("<br>"), None, class_='"') == '<p class="&quot;">&lt;<br></p>'
    assert together(tag("b") + "", 1) == "&lt;b&gt;&lt;/b&gt;1"


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0.0, 600.0), [0, 200, 400, 600]),
        (Axis(-0.1, 2.4), [0, 0.5, 1, 1.5, 2]),
        (Axis(0.9, 3.7, logarithmic=True), [1, 2, 3]),
        (Axis(0.9, 60.0, logarithmic=True), [1, 2, 5, 10, 20, 50]),
        (Axis(1e-6, 1e3, logarithmic=True), [1e-6, 1e-4, 1e-2, 1, 100]),
        (axis_of([5.0, 5.0]), [4.96, 4.98, 5, 5.02, 5.04]),
    ],
)
def test_ticks_are_round_and_on_the_axis(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)
    assert len({number(tick) for tick in axis.ticks()}) == len(ticks)
    assert all(-1e-6 <= axis.at(tick) <= 100 + 1e-6 for tick in axis.ticks())


# --- in Chromium -------------------------------------------------------------------------------------------------


Browse = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Browse:
    """Open a page; gives the document as it then is, and what the browser says."""
    folder = tmp_path_factory.mktemp("browser")

    def open_page(page: str, *options: str) -> tuple[str, str]:
        assert CHROMIUM
        (folder / "page.html").write_text(page, encoding="utf-8")
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", *options]
        command += ["--dump-dom", (folder / "page.html").as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, done.stderr

    return open_page


def measured(pages: Mapping[str, str], widths: Sequence[int]) -> str:
    """A page that shows others in frames of some widths, and writes into its title what doesn't fit there.

    Of every frame: its name, how wide its content is, how many elements there are, how many of them and of the labels
    of charts are beyond its edges, and how many labels lie over another one of their chart.
    """
    style = "height:900px;border:0"
    frames = "".join(
        f'<iframe name="{name} {width}" srcdoc="{html.escape(page)}" style="width:{width}px;{style}"></iframe>'
        for name, page in pages.items()
        for width in widths
    )
    return f"""<!doctype html>{frames}
<script>onload = () => {{
  document.title = JSON.stringify(Object.fromEntries([...document.querySelectorAll("iframe")].map(frame => {{
    const inner = frame.contentDocument, width = inner.documentElement.clientWidth;
    inner.querySelectorAll("details").forEach(each => each.open = true);
    const beyond = box => box.left < -0.5 || box.right > width + 0.5;
    const boxes = each => each.getBoundingClientRect();
    const rooms = [...inner.querySelectorAll("body *")].filter(each => !each.closest("pre, svg")).map(boxes);
    const over = (a, b) => a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
    const charts = [...inner.querySelectorAll("[role=img]")].map(each => [...each.querySelectorAll("text")].map(boxes));
    const hidden = charts.flatMap(labels => labels.filter((a, at) => labels.slice(0, at).some(b => over(a, b))));
    const out = [...rooms, ...charts.flat()].filter(beyond).length;
    return [frame.name, [inner.documentElement.scrollWidth, rooms.length, out, hidden.length]];
  }})));
}}</script>"""


def measures(document: str) -> dict[str, list[int]]:
    """What `measured` found: of each frame, width, elements, those beyond the edges, labels over another."""
    found = re.search(r"<title>(.*?)</title>", document)
    assert found, document[-500:]
    return {name: list(values) for name, values in json.loads(html.unescape(found[1])).items()}


@in_browser
def test_pages_fit_and_have_no_errors(reports: Reports, browse: Browse) -> None:
    pages = {name: render(report) for name, report in reports.items()}
    document, said = browse(measured(pages, (360, 1100)))
    assert "CONSOLE" not in said
    found = measures(document)
    fitting = {f"{name} {width}": [width, 0, 0] for name in NAMES for width in (360, 1100)}
    assert {name: [wide, out, hidden] for name, (wide, _, out, hidden) in found.items()} == fitting
    assert all(elements > 50 for _, elements, _, _ in found.values())


@in_browser
def test_what_does_not_fit_is_measured(browse: Browse) -> None:
    label = "<text x='350' y='9'>long</text>"
    wide = "<body style='margin:0'><div style='width:500px'>wide</div>"
    chart = f"<body style='margin:0'><svg role='img' width='100' height='9'>{label}{label}</svg>"
    document, _ = browse(measured({"wide": wide, "chart": chart}, (360,)))
    assert measures(document) == {"wide 360": [500, 1, 1, 0], "chart 360": [360, 0, 2, 1]}
    _, said = browse("<script>console.error('wrong')</script>")
    assert "CONSOLE" in said


@in_browser
@pytest.mark.parametrize("safe", [True, False])
def test_page_can_reach_nothing(reports: Reports, browse: Browse, safe: bool) -> None:
    """Even markup that got in could load nothing and run nothing; without the policy it does both."""
    asked = list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        planted = f'<img src="{address}/image"><script>document.title = "ran"</script>'
        page = render(reports["accepted"]).replace("</main>", planted + "</main>")
        page = page if safe else re.sub(r'<meta http-equiv="Content-Security-Policy".*?>', "", page)
        document, said = browse(page)
        server.shutdown()
        thread.join()
    assert asked == ([] if safe else ["/image"])
    assert ("<title>ran</title>" in document) == (not safe)
    assert ("Content Security Policy" in said) == safe


@in_browser
def test_page_is_drawn(reports: Reports, browse: Browse, tmp_path: Path) -> None:
    """The two schemes give pictures that differ."""
    pictures = []
    for scheme in (0, 1):
        picture = tmp_path / f"{scheme}.png"
        settings = f"--blink-settings=preferredColorScheme={scheme}"
        browse(render(reports["rejected"]), f"--screenshot={picture}", "--window-size=360,2000", settings)
        pictures.append(picture.read_bytes())
    assert pictures[0] != pictures[1]
    assert all(len(picture) > 20_000 for picture in pictures)


def test_random_policy_is_told_in_words(reports: Reports) -> None:
    page = render(msgspec.structs.replace(reports["accepted"], policy=RandomSegments(), verdict=Verdict.ACCEPTED))
    assert "enough to meet a false one with 99% probability if 5% of all are false" in page
    assert "--confidence 0.99 --fraction 0.05" in page
