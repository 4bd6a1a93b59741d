"""The protocol's document names what the code has."""

from __future__ import annotations

import make_vectors
from stored_vectors import vectors

from pol_jax import errors
from pol_jax.program.artifact import INIT_FILE, STEP_FILE
from pol_jax.program.operations import ALLOWED_CALLS
from pol_jax.protocol.inventory import FILE
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.stages import Stage
from pol_jax.protocol.trees import DTYPES
from pol_jax.storage.ledger import SCHEMA, SCHEMA_1


def test_document_names_what_the_code_has() -> None:
    document = make_vectors.DOCUMENT.read_text()
    for stage in Stage:
        assert f"| {stage.value} | {stage.title} |" in document
    for name in (*DTYPES, *ALLOWED_CALLS):
        assert f"`{name}`" in document
    for field in (*SCHEMA, *SCHEMA_1):
        assert f"`{field.name}`" in document
    assert all(name in document for name in (INIT_FILE, STEP_FILE, FILE))
    assert Limits() == Limits(2**24, 2**28, 2**32, 2**30, 2**46, 10_000_000, 2**40, 2**26)
    limits = "2^24 bytes, a program 2^28, `records` 2^32, a segment of the ledger 2^30, all\nfiles 2^46, and 10,000,000"
    assert limits in document
    codes = (errors.ACCEPTED, errors.REJECTED, errors.WRONG_INPUT, errors.INCONCLUSIVE)
    assert codes == (0, 1, 2, 3)


def test_every_context_in_the_code_is_in_the_document() -> None:
    document = make_vectors.DOCUMENT.read_text()
    listed = document.split("<!-- vectors: contexts -->")[1].split("<!-- end -->")[0].splitlines()
    used = {vector["context"] for vector in vectors("digests")}
    assert {line for line in listed if line.startswith("pol-jax")} == used
