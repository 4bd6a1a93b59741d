"""Documents of pol-jax/1 are read as documents of today's version, with the fields that it lacks (appendix A).

So there is one type for a commitment and one for a claim, and code that reads them asks a field and not a version. What
was read is written again as the version that it came from: a document has one digest for ever.
"""

from __future__ import annotations

from typing import Any, Final

from pol_jax.errors import ProofError

Plain = Any
"""A plain document is made of JSON values: dicts, lists, strings, numbers, booleans, None."""

_ADDED_TO_COMMITMENTS: Final[dict[str, dict[str, Any]]] = {
    "program": {"loss": "loss"},
    # Provers of version 1 chose the end of a run when they came to it.
    "schedule": {"steps": None, "may_stop_early": True},
}
_ADDED_TO_ALL: Final = {"arithmetic": None, "mesh": None}
_ADDED_TO_ENVIRONMENTS: Final = {"variables": None, "libraries": None}
"""Version 2 added these fields; a document of version 1 is read as if it had these values."""


def upgrade_commitment(plain: Plain, where: str) -> Plain:
    """Return a commitment of version 1 with all fields of today's; what is no object is left for the reader to refuse.

    Raises:
        ProofError: it has a field that version 1 does not know.
    """
    new = _with(plain, _ADDED_TO_ALL, where)
    for part, fields in _ADDED_TO_COMMITMENTS.items():
        if isinstance(new, dict) and part in new:
            new[part] = _with(new[part], fields, where, f"{part}.")
    return new


def downgrade_commitment(plain: Plain) -> Plain:
    """Return the document of version 1 that was read as ``plain``. Law: the inverse of `upgrade_commitment`."""
    parts = {part: _without(plain[part], fields) for part, fields in _ADDED_TO_COMMITMENTS.items()}
    return _without(plain, _ADDED_TO_ALL) | parts


def upgrade_claim(plain: Plain, where: str) -> Plain:
    """Return a claim of version 1 with all fields of today's: one environment, from step 0, and no intervention.

    Raises:
        ProofError: it has a field that version 1 does not know.
    """
    new = _with(plain, {"environments": [], "interventions": []}, where)
    if isinstance(new, dict) and "environment" in new:
        environment = _with(new.pop("environment"), _ADDED_TO_ENVIRONMENTS, where, "environment.")
        new["environments"] = [{"from": 0, "environment": environment}]
    return new


def upgrade_open_run(plain: Plain, where: str) -> Plain:
    """Return what an interrupted run of version 1 left about itself, with all fields of today's environment."""
    environment = plain.get("environment")
    known = isinstance(environment, dict) and not _ADDED_TO_ENVIRONMENTS.keys() <= environment.keys()
    return plain | {"environment": _with(environment, _ADDED_TO_ENVIRONMENTS, where)} if known else plain


def downgrade_claim(plain: Plain) -> Plain:
    """Return the document of version 1 that was read as ``plain``. Law: the inverse of `upgrade_claim`."""
    (first,) = plain["environments"]
    environment = _without(first["environment"], _ADDED_TO_ENVIRONMENTS)
    return _without(plain, {"environments", "interventions"}) | {"environment": environment}


def _with(plain: Plain, fields: dict[str, Any], where: str, part: str = "") -> Plain:
    if not isinstance(plain, dict):
        return plain
    # A document of version 1 with a field of version 2 would be written again without it, as another document.
    for name in fields:
        if name in plain:
            raise ProofError(where, f"{part}{name}: is no field of pol-jax/1")
    return plain | fields


def _without(plain: dict[str, Any], names: Any) -> dict[str, Any]:
    return {name: value for name, value in plain.items() if name not in names}
