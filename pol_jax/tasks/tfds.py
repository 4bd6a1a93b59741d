"""These sources read TFDS data sets from a data directory where they are prepared, without TensorFlow or download."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pol_jax.errors import DataDirectoryError, UsageError
from pol_jax.training.task import PyTree, Source


def data_source(name: str, split: str, data_dir: Path | None, skip: Sequence[str] = ()) -> Source:
    """Return a split of a prepared data set, as TFDS reads it.

    Args:
        name: the data set's directory in ``data_dir``, of which the newest version is used.
        split: name of the split, such as ``"train"``.
        data_dir: a TFDS data directory.
        skip: features that are not decoded, and returned as bytes.

    Raises:
        UsageError: the data set is missing, or has a format without random access.
    """
    import tensorflow_datasets as tfds  # half a second

    cure = f"prepare it once, tfds.builder({name!r}, file_format='array_record', data_dir=...).download_and_prepare()"
    if data_dir is None:
        raise DataDirectoryError(f"data set {name!r} needs a TFDS data directory, given as data_dir; {cure}")
    versions = [path.parent for path in data_dir.glob(f"{name}/*/dataset_info.json")]
    if not versions:
        raise UsageError(f"no data set {name!r} in {data_dir}; {cure}")
    builder = tfds.builder_from_directory(max(versions, key=lambda path: tfds.core.Version(path.name)))
    # The order of records is a permutation, so any record must be found without reading those before it.
    if builder.info.file_format.value != "array_record":
        found = builder.info.file_format.value
        raise UsageError(f"data set {name!r} in {data_dir}: expected array_record files, got {found}; {cure}")
    if split not in builder.info.splits:
        known = ", ".join(builder.info.splits)
        raise UsageError(f"data set {name!r} in {data_dir}: no split {split!r}; expected one of {known}")
    source: Source = builder.as_data_source(split=split, decoders={key: tfds.decode.SkipDecoding() for key in skip})
    return source


class LabelledImages:
    """A source of the records ``{"image": uint8[height, width, channels], "label": int32[]}`` of a TFDS data set.

    Pillow decodes the images, and not whatever decoder TFDS finds: two JPEG decoders may give different pixels, which
    would be another data set. An image is decoded on every read; `pol_jax.training.records.Cached` avoids that.
    """

    def __init__(self, name: str, split: str, data_dir: Path | None) -> None:
        """Open a split; arguments and errors are those of `data_source`."""
        self._source: Any = data_source(name, split, data_dir, skip=["image"])

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._source)

    def __getitem__(self, index: int) -> PyTree:
        """Return record ``index``."""
        return _decoded(self._source[index])

    def __getitems__(self, indices: Sequence[int]) -> list[PyTree]:
        """Return the records at ``indices``, which are read together."""
        return [_decoded(record) for record in self._source.__getitems__(indices)]


def _decoded(record: PyTree) -> PyTree:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise UsageError("images of TFDS need Pillow: pip install 'pol_jax[images]'") from error
    with Image.open(io.BytesIO(record["image"])) as image:
        return {"image": np.asarray(image, np.uint8), "label": np.int32(record["label"])}
