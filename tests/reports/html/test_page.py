"""A report as one page: well formed, without scripts or network, and drawn by a browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import pytest
from example_reports import NAMES, Elements, Reports

from pol_jax.reports.html import render

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--v=0"),
]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


in_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


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
        assert fact is not None
        assert fact in text
    headings = [
        "What this is about",
        "Coverage",
        "Reproduction error",
        "Stages",
        "Course of the run",
        "Environments",
        "Digests",
    ]
    assert re.findall(r"<h2>(.*?)</h2>", render(report)) == headings
    assert "Updates between checkpoints" in text
    assert ("Segment 1, steps 7 to 12: the replay of step 9 differs from the ledger" in text) == (name != "accepted")
    assert ("The two environments differ in jaxlib, cpu features." in text) == (name == "inconclusive")


def test_numbers_that_decide_no_bits_are_no_difference_of_environments(reports: Reports) -> None:
    report = reports["accepted"]
    theirs = report.claimed_environment
    assert theirs is not None
    more = msgspec.structs.replace(theirs, process_count=theirs.process_count + 1, device_count=theirs.device_count + 7)
    assert theirs.platform == "cpu"
    page = render(msgspec.structs.replace(report, claimed_environment=more))
    assert "The two environments are the same in everything that decides bits." in page
    assert "differs</span>" not in page
    other = msgspec.structs.replace(more, platform="cuda")
    text = Elements(render(msgspec.structs.replace(report, claimed_environment=other))).text
    assert "The two environments differ in platform, device count." in text


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
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
        return done.stdout, done.stderr

    return open_page


def measured(pages: Mapping[str, str], widths: Sequence[int]) -> str:
    """A page that shows others in frames of some widths, and writes into its title what doesn't fit there.

    Of every frame: its name, how wide its content is, how many elements there are, how many of them and of the labels
    of charts are beyond its edges, how many labels lie over another one of their chart, and how many answers have less
    than half of the width of their list.
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
    const lists = [...inner.querySelectorAll("dd")].map(each => [boxes(each).width, boxes(each.parentNode).width]);
    const narrow = lists.filter(([own, whole]) => own < whole / 2).length;
    return [frame.name, [inner.documentElement.scrollWidth, rooms.length, out, hidden.length, narrow]];
  }})));
}}</script>"""


def measures(document: str) -> dict[str, list[int]]:
    """What `measured` found, by the names of the frames."""
    found = re.search(r"<title>(.*?)</title>", document)
    assert found, document[-500:]
    return {name: list(values) for name, values in json.loads(html.unescape(found[1])).items()}


@in_browser
def test_pages_fit_and_have_no_errors(reports: Reports, browse: Browse) -> None:
    pages = {name: render(report) for name, report in reports.items()}
    document, said = browse(measured(pages, (360, 1100)))
    assert "CONSOLE" not in said
    found = measures(document)
    fitting = {f"{name} {width}": [width, 0, 0, 0] for name in NAMES for width in (360, 1100)}
    assert {name: [wide, *others] for name, (wide, _, *others) in found.items()} == fitting
    assert all(elements > 50 for _, elements, *_ in found.values())


@in_browser
def test_what_does_not_fit_is_measured(browse: Browse) -> None:
    label = "<text x='350' y='9'>long</text>"
    wide = "<body style='margin:0'><div style='width:500px'>wide</div>"
    chart = f"<body style='margin:0'><svg role='img' width='100' height='9'>{label}{label}</svg>"
    narrow = "<body style='margin:0'><dl style='margin:0;display:grid;grid-template-columns:auto 9px'><dt>a<dd>b</dl>"
    document, _ = browse(measured({"wide": wide, "chart": chart, "narrow": narrow}, (360,)))
    found = {name: values for name, values in measures(document).items() if name != "narrow 360"}
    assert found == {"wide 360": [500, 1, 1, 0, 0], "chart 360": [360, 0, 2, 1, 0]}
    assert measures(document)["narrow 360"][-1] == 1
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
