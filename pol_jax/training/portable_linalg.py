"""Linear algebra is exported as StableHLO that every backend expands itself, in place of calls of LAPACK and cuSOLVER.

jax lowers a matrix decomposition to a call of a native library, by another name on each platform. No verifier runs such
a call: it would pass pointers of a stranger's program to code that trusts them. jax also has lowerings for backends
without such a library: Cholesky and triangular solves are StableHLO's own, QR and the symmetric eigenvalue problem are
expanded by XLA (``Qr``, ``Eigh``, ``ProductOfElementaryHouseholderReflectors``), and LU and SVD are built from these.
They are used on all platforms. They are pure functions of their operands, and slower than LAPACK for large matrices.

``jnp.empty`` is here too: some versions of jax lower it to memory that nobody filled, which no replay would find again.
By its lowering for any platform it is filled with zeros.

Decompositions of matrices that are not symmetric (``eig``, ``schur``, ``hessenberg``) have no such lowering.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from jax._src.interpreters import mlir
from jax._src.lax import lax, linalg

_PRIMITIVES: Final = (
    "cholesky_p",
    "eigh_p",
    "geqrf_p",
    "householder_product_p",
    "lu_p",
    "lu_pivots_to_permutation_p",
    "ormqr_p",
    "svd_p",
    "triangular_solve_p",
    "tridiagonal_solve_p",
    "empty_p",
)


@cache
def portable_lowerings() -> tuple[tuple[Any, Any], ...]:
    """Return jax's primitives of linear algebra, and of empty arrays, with lowerings that call no native library.

    Neither jax's primitives nor their rules have public names. A primitive that this jax does not have is left out; a
    program that would need it is then refused by name, as any foreign call is.
    """
    named = (getattr(linalg, name, getattr(lax, name, None)) for name in _PRIMITIVES)
    found = ((primitive, _rule(primitive)) for primitive in named if primitive is not None)
    return tuple((primitive, rule) for primitive, rule in found if rule is not None)


def _rule(primitive: Any) -> Any:
    """Return the lowering for any platform, or else the one for TPUs, which have no native library."""
    for table in (mlir._lowerings, mlir._platform_specific_lowerings["tpu"]):
        if (entry := table.get(primitive)) is not None:
            return getattr(entry, "rule", entry)
    return None
