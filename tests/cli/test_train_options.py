"""What a prover asks by options is read before anything is written, and contradictions are refused."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pol_jax.cli.train_options import Beacon, TrainOptions, read_secret
from pol_jax.errors import UsageError
from pol_jax.proving.choices import Choices


def options(**asked: Any) -> TrainOptions:
    """The options of a call that gives nothing else."""
    known: dict[str, Any] = dict.fromkeys(field.name for field in fields(TrainOptions))
    known |= {"out": Path("out"), "take": (), "evaluate": True, "may_stop_early": False, "commit_only": False}
    return TrainOptions(**(known | asked))


def choices(**asked: Any) -> Choices:
    with ExitStack() as reading:
        return options(**asked).choices(Beacon(asked.get("beacon"), None), reading)


def test_options_are_the_prover_s_choices(tmp_path: Path) -> None:
    assert choices() == Choices()
    (tmp_path / "secret").write_bytes(b"s" * 32)
    asked: dict[str, Any] = {"interval": 7, "witness_interval": 3, "seed": "s", "beacon": "b", "may_stop_early": True}
    expected = Choices(**asked, secret=b"s" * 32, constant_bytes=9)
    assert choices(**asked, private=tmp_path / "secret", max_constants=9) == expected


def test_one_segment_of_so_many_is_executed_twice() -> None:
    assert options().segments_per_check() is None
    assert options(self_check="1/20").segments_per_check() == 20
    for wrong in ("20", "2/20", "1/0", "1/-1", "1/20 ", "1/\u0662", "1/1000000000"):
        with pytest.raises(UsageError, match="expected 1/N"):
            options(self_check=wrong).segments_per_check()


def test_a_run_starts_from_one_thing(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", w=np.ones(3, np.float32))
    start = choices(start_from_weights=tmp_path / "weights.npz", take=("/w",)).start
    assert start is not None
    assert start.take == ("/w",)
    for asked, words in (
        ({"start_from": tmp_path, "start_from_weights": tmp_path}, "give one of them"),
        ({"take": ("/w",)}, "--take: says what to take over"),
    ):
        with pytest.raises(UsageError, match=words):
            choices(**asked)


def test_a_secret_has_its_length(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(31))
    with pytest.raises(UsageError, match="has 31 bytes, expected 32"):
        read_secret(tmp_path / "secret")
    with pytest.raises(UsageError, match="can't be read"):
        read_secret(tmp_path / "nothing")


def test_a_beacon_is_a_text_or_a_round_that_is_known(tmp_path: Path) -> None:
    assert options().read_beacon() == Beacon(None, None)
    for text in ("any words", "x" * 10_000, "\0"):
        assert options(beacon=text).read_beacon() == Beacon(text, None)
    (tmp_path / "round").write_bytes(b"{}")
    with pytest.raises(UsageError, match="--beacon: "):
        options(beacon=str(tmp_path / "round")).read_beacon()
