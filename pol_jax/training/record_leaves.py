"""Records must be alike: the leaves of each are checked against one specification, and become jax's own dtypes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Integer

from pol_jax.errors import DataError
from pol_jax.protocol.trees import DTYPES, ArraySpec, has_odd_bool
from pol_jax.training.pytrees import flatten_with_paths
from pol_jax.training.task import PyTree


def spec_of_record(record: PyTree) -> tuple[ArraySpec, ...]:
    """Return paths, dtypes and shapes of one record.

    Raises:
        DataError: it has no leaves, or a leaf is no array of numbers.
    """
    specs = []
    for path, leaf in flatten_with_paths(record):
        array = as_array(f"record leaf {path or '/'}", leaf)
        check_numbers(f"record leaf {path or '/'}", array)
        specs.append(ArraySpec(path=path, dtype=_canonical(array.dtype), shape=array.shape))
    if not specs:
        raise DataError(f"record 0 has no arrays, got {type(record).__name__}; expected a pytree of arrays")
    return tuple(specs)


def as_array(where: str, leaf: Any) -> np.ndarray:
    """Return a leaf as an array.

    Raises:
        DataError: it can't be one, as a key of jax can't, or would lose what it masks.
    """
    if np.ma.is_masked(leaf):
        raise DataError(
            f"{where}: an array that masks values would lose its mask; give leaf.filled(value), and the"
            " mask as an array of its own"
        )
    try:
        return np.asarray(leaf)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: expected an array of numbers, got {type(leaf).__name__}: {error}") from error


def columns_of(
    records: Sequence[PyTree], spec: Sequence[ArraySpec], indices: Integer[np.ndarray, " batch"]
) -> list[list[np.ndarray]]:
    """Return for each leaf of ``spec`` what it is in each record.

    Raises:
        DataError: a record has other leaves, shapes or dtypes; the text names it. Stacking would promote dtypes.
    """
    if len(records) != len(indices):
        raise DataError(f"the source gave {len(records)} records for {len(indices)} indices")
    paths = [path for path, _ in flatten_with_paths(records[0])]
    structure: Any = jax.tree.structure(records[0])
    columns: list[list[np.ndarray]] = [[] for _ in spec]
    for place, record in zip(indices.tolist(), records, strict=True):
        leaves, own = jax.tree.flatten(record)
        # Paths are made once, as long as all records have the structure of the first: that is most of the time.
        found = dict(zip(paths, leaves, strict=True)) if own == structure else dict(flatten_with_paths(record))
        if found.keys() != {leaf.path for leaf in spec}:
            raise DataError(_other_leaves(place, record, found, spec))
        for column, want in zip(columns, spec, strict=True):
            column.append(as_array(f"record {place}: leaf {want.path or '/'}", found[want.path]))
    for column, want in zip(columns, spec, strict=True):
        good = {dtype: _fits(dtype, want.dtype) for dtype in {leaf.dtype for leaf in column}}
        for place, leaf in zip(indices.tolist(), column, strict=True):
            if leaf.shape != want.shape or not good[leaf.dtype]:
                raise DataError(f"record {place}: leaf {_mismatch(leaf.dtype, leaf.shape, want)}")
    return columns


def _other_leaves(place: int, record: PyTree, found: Mapping[str, Any], spec: Sequence[ArraySpec]) -> str:
    if record is None:
        return (
            f"record {place} is None; a filter of Grain leaves such gaps: write the records with pol_jax.records_from"
        )
    return f"record {place}: has leaves {list(found)}, expected {[leaf.path for leaf in spec]} as in record 0"


def _mismatch(dtype: np.dtype, shape: tuple[int, ...], want: ArraySpec) -> str:
    got = f"{_canonical(dtype)}{list(shape)}"
    return (
        f"{want.path or '/'}: got {got}, expected {want.dtype}{list(want.shape)}; "
        "all records must have the same shapes and dtypes"
    )


def check_numbers(where: str, array: np.ndarray) -> None:
    """Refuse arrays of text, objects and dates, and numbers of a kind that no digest is defined for.

    Raises:
        DataError: it is one of these.
    """
    # `V` is the kind of bfloat16 and most float8, and of structured arrays, which have names of fields.
    if array.dtype.kind not in "biufcV" or array.dtype.names:
        kind = array.dtype.type.__name__
        got = "a list or an object" if kind == "object_" else kind.removesuffix("_")
        raise DataError(f"{where}: expected an array of numbers, got {got}")
    if _canonical(array.dtype) not in DTYPES:
        raise DataError(f"{where}: dtype {array.dtype} is not supported; expected one of {', '.join(DTYPES)}")


def _fits(dtype: np.dtype, want: str) -> bool:
    """Return whether arrays of a dtype can be what a commitment says, whether jax has 64-bit types here or not."""
    if dtype.name == want:
        return True
    with jax.enable_x64(False):
        return _canonical(dtype) == want


def _canonical(dtype: np.dtype) -> str:
    """Return the name of jax's own dtype for a dtype; of one that jax does not have, the name itself."""
    try:
        return np.dtype(jax.dtypes.canonicalize_dtype(dtype)).name
    except TypeError:
        return dtype.name


def conform(leaf: np.ndarray, want: ArraySpec, size: int) -> np.ndarray:
    """Return ``leaf`` in the committed dtype, its own or that of jax without 64-bit types.

    No integer may change its value, and no number become infinite.

    Raises:
        DataError: it has another shape or dtype, or a value that doesn't fit.
    """
    if leaf.shape != (size, *want.shape) or not _fits(leaf.dtype, want.dtype):
        raise DataError(f"record leaf {_mismatch(leaf.dtype, leaf.shape[1:], want)}")
    # What overflows becomes infinite, which the comparison below finds; a warning would say nothing more.
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(leaf, DTYPES[want.dtype])  # digests cover contiguous bytes
    if leaf.dtype != cast.dtype and not _same_values(leaf, cast):
        raise DataError(f"record leaf {want.path or '/'}: a value of {leaf.dtype} doesn't fit {want.dtype}")
    if has_odd_bool(cast):
        raise DataError(f"record leaf {want.path or '/'}: a bool is neither 0 nor 1")
    return cast.reshape(leaf.shape)


def _same_values(leaf: np.ndarray, cast: np.ndarray) -> bool:
    if leaf.dtype.kind in "iu":
        return np.array_equal(leaf, cast)
    # Real numbers may be rounded, as jax would round them; none may become infinite.
    return np.array_equal(np.isfinite(leaf), np.isfinite(cast))
