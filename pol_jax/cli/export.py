"""``pol export`` writes the final parameters as a file that names their claim, and a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.leaf_match import plain_name
from pol_jax.attesting.safetensors_file import DTYPES, read_safetensors
from pol_jax.cli.output_file import check_new, new_directory
from pol_jax.cli.publish import publish_to
from pol_jax.cli.terminal import quiet_libraries, say
from pol_jax.errors import StorageError, UsageError, printable
from pol_jax.files import read_own_file
from pol_jax.protocol.claim import Claim
from pol_jax.reports.html import render
from pol_jax.reports.model_card import Exported, model_card
from pol_jax.reports.report import Report
from pol_jax.sandbox.proofs import open_apart
from pol_jax.storage.final_arrays import read_final_state, select_parameters
from pol_jax.storage.proof import FinishedProof, Proof

FILE: Final = "model.safetensors"
BUNDLE: Final = "proof-of-learning"
_MAX_REPORT_BYTES: Final = 2**28


def export_command(proof: Path, safetensors: Path | None, hub: Path | None, report: Path | None) -> None:
    """Write the final parameters of a finished proof, alone or with what a model hub shows beside them."""
    if (safetensors is None) == (hub is None):
        raise UsageError("give --safetensors FILE for the model alone, or --hub DIR for all that a model hub shows")
    if report is not None and hub is None:
        raise UsageError("--report: is for the model card; give --hub DIR")
    quiet_libraries()
    out = safetensors or hub
    assert out is not None  # noqa: S101  # one of them is given
    check_new(out)
    with open_apart(proof) as opened:
        _export(opened.finished(), safetensors, out, report)


def _export(opened: FinishedProof, safetensors: Path | None, out: Path, report: Path | None) -> None:
    parameters = select_parameters(read_final_state(opened))
    claim, digest = opened.claim, digest_arrays(parameters).blake3
    if safetensors is not None:
        try:
            # Beside its place: a rename is whole or not at all only within one file system.
            with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as beside:
                _write_model(Path(beside) / FILE, parameters, claim, digest)
                (Path(beside) / FILE).rename(out)
        except OSError as error:
            raise StorageError(f"{printable(str(out))}: can't be written: {error.strerror}") from error
    else:
        found = None if report is None else _report(report, claim, digest)
        with new_directory(out) as folder:
            _write_model(folder / FILE, parameters, claim, digest)
            publish_to(opened.root, folder / BUNDLE)
            _write_card(folder, opened, claim, digest, found)
    say(f"wrote the final parameters to {printable(str(out))}: {len(parameters)} arrays, BLAKE3 {digest}")
    say(f"claim {claim.digest().hex()}")


def _write_model(path: Path, parameters: Mapping[str, np.ndarray], claim: Claim, digest: str) -> None:
    """Write the parameters with what they are, and read them back.

    Raises:
        UsageError: a safetensors file has no such type or name.
        StorageError: what was written is something else.
    """
    # The path of a state that is one array is empty, and an array of a file needs a name.
    names = {leaf: plain_name(leaf) or "parameters" for leaf in parameters}
    if len(set(names.values())) != len(names):
        names = {leaf: leaf for leaf in parameters}  # "/a.b" and "/a/b" would have one name
    kinds = {np.dtype(kind) for kind in DTYPES.values()}
    for leaf, values in parameters.items():
        if values.dtype not in kinds:
            raise UsageError(f"{printable(leaf)}: is {values.dtype.name}, which safetensors files don't have")
    arrays = {names[leaf]: np.ascontiguousarray(values).reshape(values.shape) for leaf, values in parameters.items()}
    about = {"pol_jax.claim": claim.digest().hex(), "pol_jax.final_parameters.blake3": digest}
    try:
        save_file(arrays, path, metadata=about)
        _order_metadata(path)
    except (OSError, SafetensorError) as error:  # the library's own where the disk refuses
        raise StorageError(f"{printable(str(path))}: can't be written: {printable(str(error))}") from error
    written = read_safetensors(path)
    if digest_arrays({leaf: np.asarray(written[name]) for leaf, name in names.items()}).blake3 != digest:
        raise StorageError(f"{printable(str(path))}: what was written can't be read back")


def _order_metadata(path: Path) -> None:
    """Order the metadata by name, in place: the library has no order of its own, and one model shall be one file."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        content = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
        if len(content) == length:  # else a name is escaped in another way, and the file stays as it was
            file.seek(8)
            file.write(content)


def _report(path: Path, claim: Claim, digest: str) -> Report:
    """Return the report of a verification of this very claim and model.

    Raises:
        UsageError: it is about another one.
    """
    report = Report.from_json(read_own_file(path, _MAX_REPORT_BYTES))
    if report.claim != claim.digest().hex() or (report.model and report.model.blake3 not in (None, digest)):
        raise UsageError(f"{printable(str(path))}: is a report on another proof; verify this one (pol verify --json)")
    return report


def _write_card(folder: Path, proof: Proof, claim: Claim, digest: str, report: Report | None) -> None:
    commitment = proof.commitment
    model = Exported(
        task=commitment.task.name,
        claim=claim.digest().hex(),
        blake3=digest,
        prover=commitment.prover,
        steps=claim.steps,
        metrics={name: float(value) for name, value in proof.row(claim.steps).values.items()},
        file=FILE,
    )
    (folder / "README.md").write_text(model_card(model, report), encoding="utf-8")
    if report is not None:
        (folder / "report.html").write_text(render(report), encoding="utf-8")
        (folder / "report.json").write_bytes(report.to_json())
