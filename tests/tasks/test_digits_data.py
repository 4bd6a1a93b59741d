"""The digits are prepared once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pol_jax.errors import DataDirectoryError
from pol_jax.files import user_cache
from pol_jax.tasks import digits_data


def test_the_digits_are_divided_into_train_and_test(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from sklearn.datasets import load_digits  # takes a second to import

    sources = {split: digits_data.load_digits(split, tmp_path) for split in ("train", "test")}
    sets = {split: source.records_at(np.arange(len(source))) for split, source in sources.items()}
    assert capfd.readouterr() == ("", "")
    assert {split: len(tree["label"]) for split, tree in sets.items()} == {"train": 1442, "test": 355}
    images, labels = load_digits(return_X_y=True)
    held = digits_data.held_out(labels)
    for split, mask in (("train", ~held), ("test", held)):
        np.testing.assert_array_equal(sets[split]["image"].reshape(-1, 64), images[mask])
        np.testing.assert_array_equal(sets[split]["label"], labels[mask])
    assert [round(np.mean(held[labels == label]), 1) for label in range(10)] == [0.2] * 10


def test_digits_prepared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits_data.load_digits("train", tmp_path)

    def again(*_: Any, **__: Any) -> None:
        raise AssertionError("prepared a second time")

    monkeypatch.setattr(digits_data.Digits, "download_and_prepare", again)
    assert len(digits_data.load_digits("test", tmp_path)) == 355


def test_digits_prepared_by_two_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = digits_data.Digits._split_generators
    (tmp_path / "digits" / "incomplete.KILLED_1.0.0").mkdir(parents=True)  # a third one was killed
    calls = []

    def race(self: Any, manager: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            digits_data.prepared(tmp_path)  # the other process finishes while this one is at work
        return other(self, manager)

    monkeypatch.setattr(digits_data.Digits, "_split_generators", race)
    assert len(digits_data.load_digits("train", tmp_path)) == 1442
    assert len(calls) == 2


def test_digits_without_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirectoryError, match="as data_dir"):
        digits_data.load_digits("train", tmp_path / "file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert user_cache() == tmp_path / "cache" / "pol_jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache" / "pol_jax"
