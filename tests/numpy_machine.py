"""A machine for exact programs that is no compiler: NumPy runs their operations one by one, each rounded once.

It knows what StableHLO says of the few operations that exact programs consist of, and nothing of the rules by which
they were made. Sums of products are Python's integers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal


def run(closed: Any, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results of a closed jaxpr."""
    with np.errstate(all="ignore"):
        return _evaluate(closed.jaxpr, closed.consts, [np.asarray(x) for x in arguments])


def _evaluate(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
    values = dict(zip(jaxpr.constvars, map(np.asarray, constants), strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> np.ndarray:
        return np.asarray(atom.val, _dtype(atom)) if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        results = _apply(equation, [read(atom) for atom in equation.invars])
        for atom, result in zip(equation.outvars, results, strict=True):
            value = np.asarray(result)
            assert value.shape == atom.aval.shape, (equation.primitive.name, value.shape, atom.aval)
            values[atom] = (
                value if jnp.issubdtype(_dtype(atom), jax.dtypes.extended) else np.asarray(value, atom.aval.dtype)
            )
    return [read(atom) for atom in jaxpr.outvars]


def _dtype(atom: Any) -> Any:
    """The dtype of an atom, whose abstract value is an array's."""
    return atom.aval.dtype


def _closed(jaxpr: Any, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
    inner = getattr(jaxpr, "jaxpr", jaxpr)
    return _evaluate(inner, getattr(jaxpr, "consts", ()), arguments)


def _apply(equation: Any, given: list[np.ndarray]) -> Sequence[Any]:
    name, params = equation.primitive.name, equation.params
    for key in ("call_jaxpr", "jaxpr"):
        if name in ("jit", "pjit", "custom_jvp_call") and key in params:
            return _closed(params[key], given)
    if name in MANY:
        results: Sequence[Any] = MANY[name](given, params)
        return results
    return [ONE[name](given, params)]


def _bits(x: np.ndarray, dtype: Any) -> np.ndarray:
    viewed: np.ndarray = np.ascontiguousarray(x).view(dtype).reshape(x.shape)
    return viewed


def _padded(given: list[np.ndarray], params: dict[str, Any]) -> np.ndarray:
    x, value = given
    for axis, (low, high, inner) in enumerate(params["padding_config"]):
        length = x.shape[axis]
        spread = np.full(
            (*x.shape[:axis], max(0, (length - 1) * (inner + 1) + 1), *x.shape[axis + 1 :]), value, x.dtype
        )
        spread[(*[slice(None)] * axis, slice(None, None, inner + 1))] = x
        sizes = [(0, 0)] * x.ndim
        sizes[axis] = (max(low, 0), max(high, 0))
        x = np.pad(spread, sizes, constant_values=value)
        x = x[(*[slice(None)] * axis, slice(max(-low, 0), x.shape[axis] - max(-high, 0)))]
    return x


def _product(given: list[np.ndarray], params: dict[str, Any]) -> np.ndarray:
    """Exact sums; what isn't finite makes NaN, as any of its sums is multiplied by NaN afterwards."""
    a, b = given
    (contract_a, contract_b), (batch_a, batch_b) = params["dimension_numbers"]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    of_a, of_b = [""] * a.ndim, [""] * b.ndim
    for one, other in (*zip(batch_a, batch_b, strict=True), *zip(contract_a, contract_b, strict=True)):
        of_a[one] = of_b[other] = next(letters)
    of_a, of_b = [at or next(letters) for at in of_a], [at or next(letters) for at in of_b]
    free = [of_a[i] for i in range(a.ndim) if i not in (*batch_a, *contract_a)]
    free += [of_b[i] for i in range(b.ndim) if i not in (*batch_b, *contract_b)]
    rule = f"{''.join(of_a)},{''.join(of_b)}->{''.join([of_a[i] for i in batch_a] + free)}"
    assert np.isfinite(a).all()
    assert np.isfinite(b).all()
    exact = np.einsum(rule, a.astype(np.int64).astype(object), b.astype(np.int64).astype(object))
    return np.asarray(exact, np.float64)


def _reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda given, params: function(given[0], axis=tuple(params["axes"])).astype(given[0].dtype)


def _shifted(given: list[np.ndarray], _: Any) -> np.ndarray:
    unsigned = given[0].view(f"uint{8 * given[0].itemsize}")
    shifted: np.ndarray = (unsigned >> given[1].astype(unsigned.dtype)).view(given[0].dtype)
    return shifted


def _converted(given: list[np.ndarray], params: dict[str, Any]) -> np.ndarray:
    return given[0].astype(params["new_dtype"])


def _scan(given: list[np.ndarray], params: dict[str, Any]) -> list[np.ndarray]:
    if "ft_in" in params:
        constants, carried = (len(part) for part in params["ft_in"].unpack()[:2])
    else:
        constants, carried = params["num_consts"], params["num_carry"]
    fixed, carry, sequences = given[:constants], given[constants : constants + carried], given[constants + carried :]
    collected = []
    for at in range(params["length"]):
        results = _closed(params["jaxpr"], [*fixed, *carry, *(sequence[at] for sequence in sequences)])
        carry = results[:carried]
        collected.append(results[carried:])
    return [*carry, *(np.stack(parts) for parts in zip(*collected, strict=True))]


def _broadcast(given: list[np.ndarray], params: dict[str, Any]) -> np.ndarray:
    shape = [1] * len(params["shape"])
    for axis, length in zip(params["broadcast_dimensions"], given[0].shape, strict=True):
        shape[axis] = length
    return np.broadcast_to(given[0].reshape(shape), params["shape"])


def _reshaped(given: list[np.ndarray], params: dict[str, Any]) -> np.ndarray:
    order = params["dimensions"]
    return (given[0] if order is None else np.transpose(given[0], order)).reshape(params["new_sizes"])


def _slice(given: list[np.ndarray], params: dict[str, Any]) -> np.ndarray:
    steps = params["strides"] or itertools.repeat(1)
    limits = zip(params["start_indices"], params["limit_indices"], steps, strict=False)
    return given[0][tuple(slice(start, limit, step) for start, limit, step in limits)]


def _select(given: list[np.ndarray], _: Any) -> np.ndarray:
    return np.where(given[0], given[2], given[1])


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda given, _: function(*given)


MANY: dict[str, Callable[..., Any]] = {
    "optimization_barrier": lambda given, _: given,
    "scan": _scan,
    "split": lambda given, params: np.split(given[0], np.cumsum(params["sizes"])[:-1], params["axis"]),
}
ONE: dict[str, Callable[..., Any]] = {
    "abs": _plain(np.abs),
    "add": _plain(np.add),
    "and": _plain(np.bitwise_and),
    "bitcast_convert_type": lambda given, params: _bits(given[0], params["new_dtype"]),
    "broadcast_in_dim": _broadcast,
    "ceil": _plain(np.ceil),
    "clamp": _plain(lambda low, x, high: np.minimum(np.maximum(x, low), high)),
    "concatenate": lambda given, params: np.concatenate(given, params["dimension"]),
    "convert_element_type": _converted,
    "copy": _plain(np.copy),
    "div": _plain(np.divide),
    "dot_general": _product,
    "eq": _plain(np.equal),
    "floor": _plain(np.floor),
    "ge": _plain(np.greater_equal),
    "gt": _plain(np.greater),
    "le": _plain(np.less_equal),
    "lt": _plain(np.less),
    "max": _plain(np.maximum),
    "min": _plain(np.minimum),
    "mul": _plain(np.multiply),
    "ne": _plain(np.not_equal),
    "nextafter": _plain(np.nextafter),
    "not": _plain(np.invert),
    "or": _plain(np.bitwise_or),
    "pad": _padded,
    "reduce_max": _reduced(np.max),
    "reduce_sum": _reduced(np.sum),
    "rem": _plain(np.fmod),
    "reshape": _reshaped,
    "rev": lambda given, params: np.flip(given[0], params["dimensions"]),
    "round": _plain(np.rint),
    "select_n": _select,
    "shift_left": _plain(np.left_shift),
    "shift_right_arithmetic": _plain(np.right_shift),
    "shift_right_logical": _shifted,
    "slice": _slice,
    "sqrt": _plain(np.sqrt),
    "squeeze": lambda given, params: np.squeeze(given[0], tuple(params["dimensions"])),
    "sub": _plain(np.subtract),
    "tile": lambda given, params: np.tile(given[0], params["reps"]),
    "transpose": lambda given, params: np.transpose(given[0], params["permutation"]),
    "xor": _plain(np.bitwise_xor),
}
