"""Reports of every verdict, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
import tiny
from example_reports import COMPARED, Reports, hostile, opening
from forge import Forger
from tiny import NONCE
from unsandboxed import verify

from pol_jax.protocol.policies import AllSegments, JointSegments
from pol_jax.reports.report import Report


@pytest.fixture(scope="session")
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
