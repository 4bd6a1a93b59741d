"""Exact arithmetic refuses what it doesn't cover: the texts name the place in the user's code and a way out."""

from __future__ import annotations

from typing import Any, Final

from jax.extend import source_info_util

from pol_jax.errors import TaskError, printable

_INSTEAD: Final = {
    "cholesky": "keep the factorisation out of the step, or write it with jax.numpy operations",
    "triangular_solve": "keep the solve out of the step, or write it with jax.numpy operations",
    "eigh": "use an iteration of matrix products, such as Newton-Schulz",
    "svd": "use an iteration of matrix products, such as Newton-Schulz",
    "qr": "use an iteration of matrix products, such as Newton-Schulz",
    "householder_product": "use an iteration of matrix products, such as Newton-Schulz",
    "lu": "keep the factorisation out of the step, or write it with jax.numpy operations",
    "fft": "use a product with the matrix of the Fourier transform",
    "rng_uniform": "use jax.random with a threefry key",
    "rng_bit_generator": "use jax.random with a threefry key",
    "random_gamma": "use jax.random.normal, uniform, truncated_normal or exponential",
    "lgamma": "use a table, or a polynomial in jax.numpy",
    "digamma": "use a table, or a polynomial in jax.numpy",
    "pallas_call": "write the kernel's computation with jax.numpy operations",
    "custom_call": "write the computation with jax.numpy operations",
    "ffi_call": "write the computation with jax.numpy operations",
    "pure_callback": "compute it before, and make it part of the records",
    "io_callback": "compute it before, and make it part of the records",
    "debug_callback": "remove the print, or return the value as a metric",
    "approx_top_k": "use jax.lax.top_k",
    "ragged_dot_general": "use dense products under a mask",
    "reduce": "use jax.numpy.sum, max, min or prod, or jax.lax.associative_scan",
    "reduce_window": "use jax.lax.reduce_window with add, max or min",
    "scatter-mul": "use a segment sum of logarithms",
}


def refuse(name: str, equation: Any, why: str | None = None) -> TaskError:
    """Return the error that says that a primitive isn't covered, where it stands, and what to use instead."""
    instead = _INSTEAD.get(name, "write it with operations of jax.numpy that are covered (docs/exact.md)")
    reason = f" ({why})" if why else ""
    return TaskError(
        f"exact arithmetic doesn't cover {printable(name)}{reason}, {source_location(equation)}; {instead}"
    )


def refuse_type(dtype: Any, where: str) -> TaskError:
    """Return the error that says that a type isn't covered."""
    instead = "complex numbers as two float32 arrays" if "complex" in str(dtype) else "float32, bfloat16 or float16"
    return TaskError(f"exact arithmetic doesn't cover {dtype}, {where}; use {instead}")


def source_location(equation: Any) -> str:
    """Return where in the user's code an operation stands: file, line and function, as far as jax knows them."""
    summary = source_info_util.summarize(equation.source_info)
    return f"at {printable(summary)}" if summary and "unknown" not in summary else "at an unknown place"
