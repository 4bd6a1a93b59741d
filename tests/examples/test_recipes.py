"""What docs/recipes.md says of other people's libraries is run as written, and real data sets of them are trained on.

These libraries are the extra ``libraries``: what is not installed is skipped, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from places import ROOT
from unsandboxed import verify

import pol_jax
from pol_jax.errors import DataError
from pol_jax.protocol.policies import AllSegments
from pol_jax.training.records import record_spec, take
from pol_jax.training.sources import number_of_records

pytestmark = [pytest.mark.interpreter, pytest.mark.filterwarnings("ignore:::(?!pol_jax)")]
STEPS = 6


def needs_library(name: str) -> None:
    if not find_spec(name):
        pytest.skip(f"{name} is not installed (extra: libraries)")


def recipe(library: str) -> str:
    """The block of docs/recipes.md that uses a library."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/recipes.md").read_text(), re.S)
    (found,) = [block for block in blocks if f"import {library}" in block or f"from {library}" in block]
    return str(found)


def run(library: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a recipe in a folder, where a task has been made; gives its names."""
    needs_library(library)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"task": replace(tiny.plain(), steps=STEPS), "pol_jax": pol_jax}
    exec(compile(recipe(library), "docs/recipes.md", "exec"), names)  # noqa: S102  # it is ours
    assert (folder / "proof" / "claim.json").exists()
    return names


def test_a_manager_of_orbax_reads_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pol_jax.train(replace(tiny.plain(), steps=STEPS), tmp_path / "proof")
    params = run("orbax", tmp_path, monkeypatch)["params"]
    np.testing.assert_array_equal(params["w"], pol_jax.open_proof(tmp_path / "proof").final_state()["params"]["w"])


def test_tensorboard_has_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run("tensorboardX", tmp_path, monkeypatch)
    (events,) = (tmp_path / "logs").iterdir()
    assert events.read_bytes().count(b"loss") == STEPS
    assert names["writer"]


def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    names = run("wandb", tmp_path, monkeypatch)
    names["wandb"].teardown()  # its process writes until then
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert kept.read_bytes().count(b"loss") >= STEPS


def test_mlflow_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # its databases need more than mlflow-skinny
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    run("mlflow", tmp_path, monkeypatch)
    (kept,) = (tmp_path / "store").glob("*/*/metrics/loss")
    assert len(kept.read_text().splitlines()) == STEPS


def points(count: int = 40) -> dict[str, np.ndarray]:
    """The records of `tiny.plain`."""
    records = [tiny.plain().source[at] for at in range(count)]
    return {name: np.stack([record[name] for record in records]) for name in records[0]}


def hugging_face() -> Any:
    import datasets

    return datasets.Dataset.from_dict({name: leaf.tolist() for name, leaf in points().items()}).with_format("numpy")


def grain_map() -> Any:
    import grain

    columns = points()
    rows = [{name: leaf[at] for name, leaf in columns.items()} for at in range(len(columns["label"]))]
    return grain.MapDataset.source(rows).map(lambda record: record)


@pytest.mark.parametrize(("library", "make"), [("datasets", hugging_face), ("grain", grain_map)])
def test_a_data_set_is_a_source_as_it_is(library: str, make: Callable[[], Any], tmp_path: Path) -> None:
    needs_library(library)
    task = replace(tiny.plain(), source=make())
    pol_jax.train(task, tmp_path / "proof", steps=STEPS)
    report = verify(tmp_path / "proof", task.source, policy=AllSegments(), nonce=b"n" * 16)
    assert report.verdict == "accepted", report.reasons


REFUSED: dict[str, tuple[str, Callable[[], Any], str]] = {
    "Grain's iterator": ("grain", lambda: grain_map().to_iter_dataset(), "before to_iter_dataset()"),
    "Grain's repeat": ("grain", lambda: grain_map().repeat(), "leave out repeat()"),
    "Grain's filter": ("grain", lambda: grain_map().filter(lambda r: r["label"] != 2), "pol_jax.records_from"),
    "Grain's loader": ("grain", lambda: _loader(), "MapDataset.source"),
    "a stream": ("datasets", lambda: hugging_face().to_iterable_dataset(), "without streaming=True"),
    "all splits": ("datasets", lambda: _splits(), "one of its splits"),
    "texts": ("datasets", lambda: _with_texts(), "record leaf /text: expected an array of numbers, got str"),
}


def _loader() -> Any:
    import grain

    return grain.DataLoader(data_source=[1, 2], sampler=grain.samplers.IndexSampler(2, num_epochs=1, seed=0))


def _splits() -> Any:
    import datasets

    return datasets.DatasetDict(train=hugging_face())


def _with_texts() -> Any:
    return hugging_face().add_column("text", ["a"] * 40)


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_source_is_refused_with_its_cure(what: str) -> None:
    library, make, cure = REFUSED[what]
    needs_library(library)
    source = make()

    def read() -> None:
        indices = np.arange(number_of_records(source))
        take(source, record_spec(source), indices)

    with pytest.raises(DataError) as caught:
        read()
    assert cure in str(caught.value)
