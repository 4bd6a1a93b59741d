"""Names of files and directories of a proof follow a grammar, and an inventory lists no other."""

from __future__ import annotations

import pytest
from stored_vectors import vectors

from pol_jax.errors import ProofError
from pol_jax.protocol.documents import encode
from pol_jax.protocol.inventory import Entry, Inventory, is_beside, is_file_name, is_folder_name, twins

ENTRY = Entry(1, "ab" * 32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("commitment.json", True),
        ("records", True),
        ("program/step.jax_export", True),
        ("ledger/0000000000.parquet", True),
        ("checkpoints/0000000006/state/d/a", True),
        ("interventions/0000000006/state/a.b_c-d%2E", True),
        ("checkpoints/0000000006/" + "/".join("abcdefgh"), True),
        ("checkpoints/0000000006/" + "/".join("abcdefghi"), False),
        ("checkpoints/0000000006/" + "x" * 129, False),
        ("checkpoints/0000000006/..", False),
        ("checkpoints/0000000006/./a", False),
        ("checkpoints/000000006/a", False),
        ("checkpoints/0000000006/é", False),
        ("checkpoints/0000000006", False),
        ("ledger/0000000000.parquet\n", False),
        ("ledger/\uff10000000000.parquet", False),
        ("Claim.json", False),
        ("/etc/passwd", False),
        ("", False),
    ],
)
def test_names_of_files_follow_the_grammar(name: str, expected: bool) -> None:
    assert is_file_name(name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("program", True),
        ("ledger", True),
        ("checkpoints", True),
        ("interventions/0000000006/state", True),
        ("checkpoints/0000000006/" + "/".join("abcdefg"), True),
        ("checkpoints/0000000006/" + "/".join("abcdefgh"), False),
        ("ledger/0000000006", False),
        ("checkpoints/6", False),
        ("checkpoints/0000000006/..", False),
        ("program\n", False),
        ("records", False),
    ],
)
def test_names_of_directories_follow_the_grammar(name: str, expected: bool) -> None:
    assert is_folder_name(name) is expected


def test_repositories_and_file_managers_may_add_files_beside_a_proof() -> None:
    assert all(map(is_beside, ("README.md", ".git", "attestations", ".DS_Store", "checkpoints/0000000000/Thumbs.db")))
    assert not any(map(is_beside, ("readme.md", "ledger/README.md", "checkpoints/.git", "claim.json")))


def test_names_that_are_equal_but_for_the_case_of_letters_are_found() -> None:
    assert twins(["a", "b/C", "d", "B/c"]) == ("b/C", "B/c")
    assert twins(["a", "b", "a/b"]) is None


def test_every_file_that_the_parser_takes_may_be_there() -> None:
    found = Inventory("pol-jax/2", {"records": ENTRY, "checkpoints/0000000000/a": ENTRY})
    assert Inventory.parse(encode(found)) == found
    for name in ("extra", "inventory.json", "checkpoints/0000000000/.DS_Store", "checkpoints/0000000000/A"):
        with pytest.raises(ProofError, match=r"has no place|equal but for the case"):
            Inventory.parse(encode(Inventory("pol-jax/2", found.files | {name: ENTRY})))


def test_an_inventory_of_version_1_has_no_digest() -> None:
    found = [
        Inventory.parse(each["text"].encode()) for each in vectors("documents")["accepted"] if "files" in each["text"]
    ]
    assert {each.format: each.digest() is None for each in found} == {"pol-jax/1": True, "pol-jax/2": False}
