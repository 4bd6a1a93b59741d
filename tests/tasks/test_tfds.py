"""Data sets that TFDS has prepared are read, and others are refused with a cure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pol_jax.errors import DataDirectoryError, UsageError
from pol_jax.tasks.tfds import data_source
from pol_jax.training.task import load_task


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "shakespeare"])
def test_needs_a_data_directory(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="as data_dir"):
        load_task(name)
    with pytest.raises(UsageError, match="download_and_prepare"):
        load_task(name, data_dir=tmp_path)


def test_data_source_refuses(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one of train, test, validation"):
        data_source("cifar10", "nonsense", tiny)
    shutil.copytree(tiny / "cifar10", tmp_path / "cifar10")
    info = next(tmp_path.glob("cifar10/*/dataset_info.json"))
    info.write_text(json.dumps(json.loads(info.read_text()) | {"fileFormat": "tfrecord"}))
    with pytest.raises(UsageError, match="expected array_record files, got tfrecord"):
        data_source("cifar10", "train", tmp_path)


def test_newest_version_is_taken(tiny: Path, tmp_path: Path) -> None:
    for version in ("3.0.9", "3.0.10"):
        shutil.copytree(tiny / "cifar10" / "3.0.2", tmp_path / "cifar10" / version)
    shutil.rmtree(tmp_path / "cifar10" / "3.0.9")
    (tmp_path / "cifar10" / "3.0.9").mkdir()
    (tmp_path / "cifar10" / "3.0.9" / "dataset_info.json").write_text("damaged")
    assert len(data_source("cifar10", "train", tmp_path)) == 16
