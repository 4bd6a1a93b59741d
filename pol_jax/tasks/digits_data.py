"""This is scikit-learn's digits as a TFDS data set: 1,797 images of 8x8 pixels, in ``digits.npz`` beside this module.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998
(CC BY 4.0), the test part, in the order of ``sklearn.datasets.load_digits``.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Bool, Int

from pol_jax.errors import DataDirectoryError
from pol_jax.files import user_cache
from pol_jax.training.records import Arrays, record_spec, take

_FILE = Path(__file__).with_name("digits.npz")
_EVERY = 5
"""In each class, one image of this many is for the test."""
_CURE = "give a writable directory as data_dir, or set XDG_CACHE_HOME to one"


class Digits(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
    """A TFDS builder of records ``{"image": uint8[8, 8, 1], "label": 0 to 9}``, with pixels of 0 to 16."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description="Scikit-learn's digits; of each class, every fifth image is a test image.",
            features=features,
            supervised_keys=("image", "label"),
            homepage="https://archive.ics.uci.edu/dataset/80",
            disable_shuffling=True,  # appendix C of protocol.md fixes the order of the records
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[int, Any]]]:
        with np.load(_FILE) as arrays:
            images, labels = arrays["images"], arrays["labels"].astype(int)
        test = held_out(labels)
        return {
            "train": self._generate_examples(images[~test], labels[~test]),
            "test": self._generate_examples(images[test], labels[test]),
        }

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, Any]]:
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield i, {"image": image.reshape(8, 8, 1).astype(np.uint8), "label": int(label)}


def held_out(labels: Int[np.ndarray, " images"]) -> Bool[np.ndarray, " images"]:
    """Return which images are for the test: in each class the last of every five, which needs no random numbers."""
    place = np.zeros(len(labels), int)
    for label in np.unique(labels):
        place[labels == label] = np.arange(np.sum(labels == label))
    last: Bool[np.ndarray, " images"] = place % _EVERY == _EVERY - 1
    return last


def load_digits(split: str, data_dir: Path | None = None) -> Arrays:
    """Return all records of a split in memory: ``image`` uint8[8, 8, 1], ``label`` int32[].

    Args:
        split: ``"train"`` (1,442 records) or ``"test"`` (355 records).
        data_dir: directory of the prepared data set; the user's cache directory by default.

    Raises:
        DataDirectoryError: the data set is not prepared yet, and can't be written to ``data_dir``.
    """
    source = prepared(data_dir or user_cache()).as_data_source(split=split)
    image, label = take(source, record_spec(source), np.arange(len(source)))
    # TFDS has labels of 64 bits, for which a verifier would have to enable 64-bit types of jax (section 9).
    return Arrays({"image": image, "label": label.astype(np.int32)})


def prepared(data_dir: Path) -> Digits:
    """Return the builder, after writing its files if this is the first call.

    TFDS writes to a new directory and renames it. Therefore an interrupted preparation leaves nothing that looks
    complete, and if two processes prepare at once, the result of the first one stays.

    Raises:
        DataDirectoryError: the files can't be written.
    """
    files = data_dir / Digits.name / str(Digits.VERSION)
    try:
        builder = Digits(data_dir=data_dir, file_format="array_record")
        if not files.exists():
            quiet = io.StringIO()  # TFDS announces itself on stdout and draws progress bars on stderr
            with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
                builder.download_and_prepare()
    except OSError as error:
        if not files.exists():  # if they exist, another process was faster
            raise DataDirectoryError(f"can't prepare the digits data set in {data_dir}: {error}; {_CURE}") from error
        builder = Digits(data_dir=data_dir, file_format="array_record")
    return builder
