"""Exact arithmetic: programs with the same bits on every backend."""

from pol_jax.exact.transform import exact

__all__ = ["exact"]
