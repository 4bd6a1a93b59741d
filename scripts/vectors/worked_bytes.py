"""The worked bytes of docs/protocol.md are cut from the vectors, so that nobody types them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from pol_jax.protocol.documents import encode
from vectors.valid_documents import FROM_PROOF, FROM_WEIGHTS, INTERVENTION, MESH

Lines = dict[str, list[str]]
"""Each block has lines, and the name of its mark."""


def blocks(vectors: dict[str, Any]) -> dict[str, str]:
    """Return the blocks by the names of their marks, cut from all families as their files hold them."""
    lines: Lines = {
        **_digests(vectors["digests"]),
        **_documents(vectors["documents"]["accepted"]),
        **_states(vectors["states"][0], vectors["starts"][0]),
        "row": _labelled(vectors["rows"][1], ("metrics", "bytes", "digest")),
        "processor": _processor(vectors["processors"][0]),
        "row of version one": _labelled(vectors["rows"][-4], ("metrics", "bytes", "digest")),
        "tree": _tree(vectors["trees"]),
        "keys": _keys(vectors["keys"][0]),
        "order": _order(vectors["order"]),
        **_draws(vectors["challenge"]),
    }
    return {name: "\n".join(each) for name, each in lines.items()}


def fill(document: str, found: dict[str, str]) -> str:
    """Fill every marked block of the document: ``<!-- vectors: name -->`` to ``<!-- end -->``.

    Raises:
        SystemExit: the document has other marks than there are blocks.
    """
    used = []

    def block(mark: re.Match[str]) -> str:
        used.append(mark[1])
        return f"<!-- vectors: {mark[1]} -->\n```text\n{found[mark[1]]}\n```\n<!-- end -->"

    text = re.sub(r"<!-- vectors: ([a-z ]+) -->.*?<!-- end -->", block, document, flags=re.DOTALL)
    if sorted(used) != sorted(found):
        raise SystemExit(f"the document has the blocks {sorted(used)}, expected {sorted(found)}")
    return text


def _labelled(vector: dict[str, Any], fields: Iterable[str]) -> list[str]:
    """Write a line for each field: its name, and its value in a column of its own."""
    width = max(map(len, fields))
    return [f"{field:{width}} {_shown(vector[field])}" for field in fields]


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list) else str(value)


def _digests(digests: list[dict[str, Any]]) -> Lines:
    first = {vector["context"]: vector for vector in reversed(digests)}
    return {
        "contexts": sorted(first),
        "record": _labelled(first["pol-jax/1 record"], ("payload", "digest")),
        "salted": _labelled(first["pol-jax/1 salted record"], ("payload", "digest")),
    }


def _documents(accepted: list[dict[str, Any]]) -> Lines:
    commitment, claim, inventory = accepted[:3]
    old = {each["kind"]: each for each in reversed(accepted) if '"format":"pol-jax/1"' in each["text"]}
    return {
        "commitment": [commitment["text"]],
        "commitment digest": [commitment["digest"]],
        "claim": [claim["text"]],
        "claim digest": [claim["digest"]],
        "inventory": [inventory["text"], inventory["digest"]],
        "mesh": [encode(MESH).decode()],
        "intervention": [encode(INTERVENTION).decode()],
        "commitment of version one": [old["commitment"]["text"], old["commitment"]["digest"]],
        "claim of version one": [old["claim"]["text"], old["claim"]["digest"]],
        "initial": [encode(initial).decode() for initial in (FROM_PROOF, FROM_WEIGHTS)],
    }


def _states(state: dict[str, Any], start: dict[str, Any]) -> Lines:
    named = {"spec digest": state["spec_digest"], "leaf": state["leaves"][0]}
    return {
        "state": _labelled(state | named, ("spec", "spec digest", "leaf", "digest")),
        "taken": _labelled(start | {"leaf": start["leaves"][1]}, ("state", "leaf", "taken", "digest")),
    }


def _processor(vector: dict[str, Any]) -> list[str]:
    return [*vector["cpuinfo"].expandtabs(4).splitlines(), "", *_labelled(vector, ("cpu", "cpu_features"))]


def _tree(trees: dict[str, Any]) -> list[str]:
    """Write the leaves of the tree of five, its root, and the paths of its leaves 2 and 4."""
    tree = trees["trees"][4]
    return [
        *(f"leaf {at}  {leaf}" for at, leaf in enumerate(trees["leaves"][:5])),
        f"root    {tree['root']}",
        *(f"path[{at}] of leaf {leaf}: {step}" for leaf in (2, 4) for at, step in enumerate(tree["paths"][leaf])),
    ]


def _keys(key: dict[str, Any]) -> list[str]:
    steps = list(key["steps"].items())[:3]
    return [*_labelled(key, ("commitment", "root")), *(f"step {step:<6}{words}" for step, words in steps)]


def _order(order: dict[str, Any]) -> list[str]:
    epoch = order["epochs"][-2]
    batches = next(each["batches"] for each in order["batches"] if each["records"] == 10)
    return [
        f"commitment {order['commitment']}",
        f"N = {epoch['size']}, epoch {epoch['epoch']}: {epoch['records']}",
        *(f"N = 10, batches of 4, step {step}: {batch}" for step, batch in enumerate(batches, 1)),
    ]


def _draws(challenge: dict[str, Any]) -> Lines:
    ranked = ("claim", "nonce", "policy", "segments", "stretches", "drawn")
    return {
        "draw of version one": _labelled(
            challenge["draws"][len(challenge["draws"]) // 2 + 1], ("claim", "nonce", "policy", "segments", "drawn")
        ),
        "draw": _labelled(challenge["draws"][1], ("claim", "nonce", "policy", "segments", "drawn")),
        "step draw": _labelled(challenge["steps"][1], ("claim", "nonce", "policy", "steps", "drawn")),
        "top draw": _labelled(challenge["ranked"][len(challenge["ranked"]) // 2 - 2], ranked),
    }
