"""Code of the caller's own may raise anything: that becomes one line, with its place in the caller's file."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Final

from pol_jax.errors import PeerLostError, PolError, UserCodeError, printable

_PACKAGE: Final = Path(__file__).parent.parent
_EXAMPLES: Final = _PACKAGE / "tasks"
"""Built-in tasks are code like a caller's own."""

_LIBRARIES: Final = ("site-packages", "dist-packages")
_STANDARD_LIBRARY: Final = Path(sysconfig.get_path("stdlib"))


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Turn whatever the caller's own code raises into an error of one line.

    Args:
        what: what is called, such as "step" or "source: record 7".

    Raises:
        UserCodeError: the code raised an exception, which is the cause of this error.
    """
    try:
        yield
    except (PolError, PeerLostError):
        raise
    except (Exception, SystemExit) as error:  # the caller's own code may raise anything
        place = _place(error.__traceback__)
        text = f"{type(error).__name__}: {(str(error) or 'without a text').splitlines()[0]}"
        raise UserCodeError(printable(f"{what}: {f'{place}: ' if place else ''}{text}")) from error


def _place(trace: TracebackType | None) -> str | None:
    """Return file, line and function of the innermost call that is in the caller's own files; None if there is none."""
    own = None
    for frame, line in walk_tb(trace):
        path = Path(frame.f_code.co_filename)
        if _is_own(path):
            own = f"{_short(path)}:{line} in {frame.f_code.co_name}"
    return own


def _is_own(path: Path) -> bool:
    if not path.is_absolute() or path.is_relative_to(_EXAMPLES):
        return not str(path).startswith("<frozen")
    outside = {_PACKAGE, _STANDARD_LIBRARY}
    return not (set(path.parts) & set(_LIBRARIES) or outside & set(path.parents))


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
