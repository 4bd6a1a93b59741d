"""Our verifier and the second implementation give every case of the kit for implementers the end that it must have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import make_conformance
import pytest
import second_documents
from conformance_cases import CASES, KIT, end_of, laid_out
from places import TESTS
from second_implementation import Refused, digest, record_salt
from second_verifier import Ended, verify_opening, verify_proof

from pol_jax.program.artifact import load_program
from pol_jax.storage import proof
from pol_jax.verifying import opening_checks


@pytest.fixture(scope="module", autouse=True)
def loaded_once() -> Iterator[None]:
    """Load each program once: most cases have that of the honest proof."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (proof, opening_checks):
            patch.setattr(module, "load_program", lru_cache(maxsize=64)(load_program))
        yield


Laid = tuple[dict[str, Any], Path]


@pytest.fixture(scope="module", params=CASES)
def laid(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Laid:
    """A case, laid out once for both who read it: pytest puts its two tests one after the other."""
    case = CASES[request.param]
    return case, laid_out(case, tmp_path_factory.mktemp("case"))


def test_our_verifier_agrees(laid: Laid) -> None:
    case, root = laid
    got, expected = end_of(case, root), case["expected"]
    assert (got.end, got.stage) == (expected["end"], expected.get("stage")), got.words
    assert expected.get("names", "") in got.words


@pytest.mark.parametrize("laid", [name for name, case in CASES.items() if "reads_programs" not in case], indirect=True)
def test_the_second_verifier_agrees(laid: Laid) -> None:
    case, root = laid
    end, expected = second_end(case, root), case["expected"]
    assert end[:2] == (expected["end"], expected.get("stage")), end


def second_end(case: dict[str, Any], root: Path) -> tuple[Any, ...]:
    """How the verification of a case ends that reads no artifact."""
    try:
        match case["kind"]:
            case "document":
                kind = case["document"]
                second_documents.DOCUMENTS[kind]((root / f"{kind}.json").read_bytes())
            case "proof":
                verify_proof(root, [KIT / each for each in case.get("earlier", [])])
            case _:
                verify_opening((root / "opening").read_bytes(), (root / "claim.json").read_bytes(), case["steps"])
    except Refused as refused:
        return "refused", None, str(refused)
    except Ended as ended:
        return ended.args
    return "success", None, ""


def test_the_second_verifier_knows_nothing_of_ours() -> None:
    code = "import sys; import second_verifier; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(TESTS)}, check=True, capture_output=True
    )
    assert not {"pol_jax", "jax", "orbax", "rfc8785", "msgspec"} & set(found.stdout.decode().split())


def test_the_kit_is_what_the_script_makes() -> None:
    made = make_conformance.contents()
    assert made == (KIT / "cases.json").read_text(encoding="utf-8"), "run python scripts/make_conformance.py"
    assert make_conformance.record_contents() == (KIT / "records.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*json.loads((KIT / "records.json").read_text())])
def test_the_records_of_the_kit_are_those_of_its_proofs(name: str) -> None:
    """Whoever has the kit alone can replay what its proofs say."""
    stored = json.loads((KIT / "records.json").read_text())[name]
    public = [digest("record", bytes.fromhex("".join(leaves))) for leaves in stored]
    committed = (KIT / "proofs" / name / "records").read_bytes()
    if name == "salted":
        salts = [record_salt(bytes(range(32)), at, each) for at, each in enumerate(public)]
        contents = [salt + bytes.fromhex("".join(leaves)) for salt, leaves in zip(salts, stored, strict=True)]
        public = [digest("salted record", content) for content in contents]
    assert b"".join(public) == committed


def test_the_kit_covers_what_it_says() -> None:
    ends = Counter((case["kind"], case["expected"]["end"]) for case in CASES.values())
    assert ends["proof", "success"] >= 16
    assert ends["opening", "success"] >= 10
    assert ends["proof", "refused"] + ends["opening", "refused"] >= 150
    for kind, stages in (("proof", range(1, 7)), ("opening", range(1, 7))):
        refused = {case["expected"].get("stage") for case in CASES.values() if case["kind"] == kind}
        assert refused >= set(stages)
    files = [each["file"] for case in CASES.values() for each in case.get("put", {}).values() if "file" in each]
    used = {name.split("/")[1] for name in files if name.startswith("parts/")}
    assert {path.name for path in (KIT / "parts").iterdir()} == used
    assert sum(path.stat().st_size for path in KIT.rglob("*") if path.is_file()) < 5 * 2**20


def test_the_tool_needs_nothing_but_python(tmp_path: Path) -> None:
    """A case is laid out by the file that is handed out with the kit, in a process that can import no package."""
    command = [sys.executable, "-I", "-S", str(KIT / "lay_out.py"), "plain", str(tmp_path / "case")]
    subprocess.run(command, check=True, env=os.environ)
    assert json.loads((tmp_path / "case" / "claim.json").read_bytes())["format"] == "pol-jax/2"


def test_another_kit_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(make_conformance, "contents", lambda **_: "other")
    assert make_conformance.main(["--check"]) == 1
    assert "cases.json: differs" in capsys.readouterr().out
