"""A process that reads a hostile proof sees only the environment variables that it needs: others may hold tokens."""

from __future__ import annotations

import os
import re
from typing import Final

_VISIBLE: Final = re.compile(
    r"""(
        # where the system, Python and libraries are
        PATH | HOME | LANG | LANGUAGE | LC_\w+ | TZ | TERM | COLUMNS | LD_LIBRARY_PATH | LD_PRELOAD | TMPDIR | PYTHON\w+
        | XDG_CACHE_HOME | COVERAGE_\w+
        # what decides how XLA computes, and on what: a verification must see what the caller has set
        | JAX_\w+ | XLA_\w+ | TF_\w+ | LIBTPU_\w+ | TPU_\w+ | NPROC | OMP_\w+ | MKL_\w+ | OPENBLAS_\w+ | EIGEN_\w+
        | CUDA_\w+ | NVIDIA_\w+ | NCCL_\w+ | CUDNN_\w+ | CUBLAS_\w+ | ROCR_\w+ | ROCM_\w+ | HIP_\w+ | HSA_\w+
        | TENSORSTORE_\w+ | MALLOC_\w+ | GLIBC_TUNABLES
    )\Z""",
    re.VERBOSE | re.ASCII,
)

_HIDDEN: Final = re.compile(
    r"""(
        # set by the caller for the process, or of no use to it
        PYTHONPATH | PYTHONSTARTUP | PYTHONINSPECT
        # checks of the caller's own code by jax, which decide nothing about a proof but would end its replay
        | JAX_TRANSFER_GUARD\w* | JAX_DEBUG_\w+ | JAX_DISABLE_JIT | JAX_CHECK_TRACER_LEAKS | JAX_NUMPY_\w+_PROMOTION
    )\Z""",
    re.VERBOSE | re.ASCII,
)


def visible_variables() -> dict[str, str]:
    """Return those variables of this process that the one it starts may see."""
    return {name: value for name, value in os.environ.items() if _VISIBLE.match(name) and not _HIDDEN.match(name)}
