"""Annotations of `pol_jax` are checked while tests run: shapes and dtypes by jaxtyping, everything by beartype.

jaxtyping's own decorator binds the arguments of each call to a signature and checks them twice, which takes ten times
as long as the check itself, and took a third of the tests' time. Here a call is checked once, by beartype, in a scope
of jaxtyping, so that an axis has the same size in all arguments and in the result.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype._util.func.utilfunctest import is_func_nested
from beartype.claw import beartype_package
from beartype.claw._ast import _clawaststar as names_in_checked_modules
from jaxtyping import install_import_hook, jaxtyped

ROOT = Path(__file__).parent.parent
SCOPE = jaxtyped("context")

MOST_CALLS = 5000
"""Of a function in one process are checked."""


def checked(*, typechecker: object = None) -> Callable[[Any], Any]:
    """In place of `jaxtyping.jaxtyped`, where its import hook puts it: a function, or a class."""
    return _decorated


def _decorated(defined: Any) -> Any:
    if _is_local(defined):
        return defined
    if not isinstance(defined, type):
        return _in_a_scope(beartype(defined), defined)
    if dataclasses.is_dataclass(defined) and "__init__" in vars(defined):
        # A field may be inherited, and its type be named where the earlier class is.
        hints = get_type_hints(defined, localns={defined.__name__: defined}, include_extras=True)
        taken = defined.__init__.__annotations__
        taken.update({name: hints[name] for name in taken if name in hints})
        defined.__init__ = _in_a_scope(beartype(defined.__init__), defined.__init__)  # type: ignore[method-assign]
    return defined


def _is_local(defined: Any) -> bool:
    """Whether a function or class is made anew in each call of another, and takes longer to decorate than to run."""
    return "<locals>" in getattr(defined, "__qualname__", "")  # a command of click has no such name


def _beartype_of_modules(*, conf: BeartypeConf) -> Callable[[Any], Any]:
    """In place of the decorator that beartype's import hook puts before functions and classes."""
    decorate = beartype(conf=conf)
    return lambda defined: defined if _is_local(defined) else decorate(defined)


def _in_a_scope(function: Callable[..., Any], unchecked: Callable[..., Any]) -> Callable[..., Any]:
    """Check most calls; a function that is called a hundred thousand times is known well after `MOST_CALLS`."""
    calls = count()

    @wraps(function)
    def scoped(*args: Any, **kwargs: Any) -> Any:
        if next(calls) >= MOST_CALLS:
            return unchecked(*args, **kwargs)
        with SCOPE:
            return function(*args, **kwargs)

    return scoped


def check_annotations() -> None:
    """Check those of every module of `pol_jax` that is imported from now on, but for functions within functions.

    Modules that name jaxtyping get a scope for each call, and so do those whose functions take other functions' names
    (`functools.wraps`), which are wrapped before they do and by beartype's own hook after.
    """
    names_in_checked_modules.__beartype__ = _beartype_of_modules  # type: ignore[assignment]
    beartype_package("pol_jax", conf=BeartypeConf(claw_is_pep526=False, warning_cls_on_decorator_exception=None))
    jaxtyping.jaxtyped = checked  # type: ignore[assignment]
    shaped = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "pol_jax").rglob("*.py")
        if re.search(r"jaxtyping|array_types|\bwraps\(", path.read_text(encoding="utf-8"))
    ]
    install_import_hook(shaped, "beartype.beartype")


def forget_functions() -> None:
    """Let go of the functions within functions that beartype has checked, and of all that they refer to.

    It remembers of each for ever whether it is one: with them go states and hundreds of compiled programs.
    """
    for cell in is_func_nested.__closure__ or ():
        if isinstance(cell.cell_contents, dict):
            cell.cell_contents.clear()
