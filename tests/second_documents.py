"""The documents of section 2, read a second time from docs/protocol.md alone; beside `second_implementation`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from second_implementation import ITEM_BYTES, Refused, parse, version_of

Rule = Callable[[Any], object]
DTYPES = ITEM_BYTES.keys()
PRNGS = {"threefry2x32": 2, "rbg": 4, "unsafe_rbg": 4}
ORIGINS = {"key": set[str](), "proof": {"claim", "leaves", "digest"}, "weights": {"leaves", "digest"}}
P, D = 2**255 - 19, -121665 * pow(121666, -1, 2**255 - 19)
BESIDE = {"README.md", "LICENSE", ".gitattributes", ".gitignore", ".git", ".cache", "model.sig", "signatures"}
BESIDE |= {"attestations"}
ANYWHERE = {".DS_Store", "Thumbs.db", "desktop.ini"}
PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.%-]{1,128}"
PLACE = rf"[0-9]{{10}}(?:/{PART}){{1,8}}"
FILE = re.compile(
    r"commitment\.json|claim\.json|inventory\.json|records|program/(?:init|step)\.jax_export|ledger/[0-9]{10}\.parquet"
    rf"|checkpoints/{PLACE}|interventions/{PLACE}",
    re.ASCII,
)


def need(right: object, field: str) -> None:
    if not right:
        raise Refused(field)


def fields(value: Any, **rules: Rule) -> None:
    """An object with these fields and no other; a rule raises, or returns whether the value is right."""
    need(type(value) is dict, "no object")
    for name in sorted(value.keys() ^ rules.keys()):
        raise Refused(f"{name}: missing or unknown")
    for name, rule in rules.items():
        need(rule(value[name]) is not False, name)


def text(most: int) -> Rule:
    return lambda value: type(value) is str and len(value) <= most


def integer(least: int, most: int = 2**53 - 1) -> Rule:
    return lambda value: type(value) is int and least <= value <= most


def digest(value: Any) -> bool:
    return type(value) is str and re.fullmatch("[0-9a-f]{64}", value) is not None


def boolean(value: Any) -> bool:
    return type(value) is bool


def one_of(*values: Any) -> Rule:
    return lambda value: any(type(value) is type(each) and value == each for each in values)


def null_or(rule: Rule) -> Rule:
    return lambda value: value is None or rule(value) is not False


def listed(rule: Rule, least: int = 0, most: float = math.inf) -> Rule:
    def check(value: Any) -> bool:
        return type(value) is list and least <= len(value) <= most and all(rule(each) is not False for each in value)

    return check


def ascending(values: list[Any]) -> bool:
    return all(a < b for a, b in pairwise(values))


def commitment(content: bytes) -> dict[str, Any]:
    value: dict[str, Any] = parse(content)
    need(type(value) is dict and value.get("format") in ("pol-jax/1", "pol-jax/2"), "format")
    second = version_of(value) == 2
    prngs = list(PRNGS)[: 3 if second else 2]
    count = integer(1, 2**20)
    newer: dict[str, Rule] = {"arithmetic": one_of(None, "exact/1"), "mesh": null_or(lambda _: None)} if second else {}
    steps: dict[str, Rule] = {"steps": integer(1, 2**32 - 1), "may_stop_early": boolean} if second else {}
    loss: dict[str, Rule] = {"loss": text(256)} if second else {}
    array: dict[str, Rule] = {"path": path, "dtype": one_of(*DTYPES), "shape": shape}
    leaf = {**array, "pieces": listed(integer(1)), "prng": one_of(None, *prngs)}
    fields(
        value,
        format=text(9),
        program=lambda each: fields(each, init=digest, step=digest, metrics=listed(text(256)), **loss),
        state=listed(lambda each: fields(each, **leaf), 1),
        data=lambda each: fields(
            each,
            root=digest,
            records=integer(1, 2**48),
            record=listed(lambda one: fields(one, **array), 1),
            salted=boolean,
        ),
        schedule=lambda each: fields(
            each,
            batch_size=count,
            interval=count,
            witness_interval=count,
            order=one_of("feistel-splitmix64-8"),
            prng=one_of(*prngs),
            **steps,
        ),
        initial=start,
        prover=null_or(lambda each: prover(each, second)),
        nonce=text(256),
        beacon=null_or(text(256)),
        task=lambda each: fields(
            each,
            name=text(256),
            hyperparameters=hyperparameters,
        ),
        **newer,
    )
    metrics = value["program"]["metrics"]
    need(ascending(metrics) and value["program"].get("loss", "loss") in metrics, "metrics")
    need(value["schedule"]["batch_size"] * value["schedule"]["interval"] <= 2**27, "schedule")
    paths(value["state"])
    paths(value["data"]["record"])
    need(all(each["path"] or len(value["state"]) == 1 for each in value["state"]), "path")
    for each in value["state"]:
        check_leaf(each)
    need(sum(math.prod(each["pieces"]) for each in value["state"]) <= (2**24 if second else 2**20), "state")
    if value["initial"]["origin"] != "key":
        taken(value["initial"]["leaves"], value["state"])
    if value.get("mesh"):
        check_mesh(value["mesh"], value["state"])
    return value


def hyperparameters(value: Any) -> bool:
    scalars = (bool, int, float, str)
    return type(value) is dict and all(len(name) <= 256 and type(one) in scalars for name, one in value.items())


def path(value: Any) -> bool:
    whole = type(value) is str and len(value) <= 1024 and re.fullmatch(r"(/([^/~]|~[01])*)*", value, re.DOTALL)
    return bool(whole) and value.count("/") <= 64


def shape(value: Any) -> bool:
    sizes = type(value) is list and len(value) <= 32 and all(integer(0, 2**48 - 1)(each) for each in value)
    return sizes and math.prod(value) < 2**48


def paths(leaves: list[Any]) -> None:
    names = [each["path"] for each in leaves]
    need(len(set(names)) == len(names), "path")
    need(not any(other.startswith(name + "/") for name in names for other in names), "path")


def check_leaf(leaf: dict[str, Any]) -> None:
    sizes, pieces = leaf["shape"], leaf["pieces"]
    need(len(sizes) == len(pieces), "pieces")
    need(all(size % parts == 0 for size, parts in zip(sizes, pieces, strict=True)), "pieces")
    if leaf["prng"]:
        need(leaf["dtype"] == "uint32" and sizes and sizes[-1] == PRNGS[leaf["prng"]], "prng")


def start(value: Any) -> None:
    need(type(value) is dict and value.get("origin") in list(ORIGINS), "origin")
    rules: dict[str, Rule] = {"claim": digest, "digest": digest, "leaves": listed(lambda each: type(each) is str, 1)}
    fields(value, origin=text(9), **{name: rules[name] for name in ORIGINS[value["origin"]]})


def taken(names: list[str], state: list[dict[str, Any]]) -> None:
    """Leaves of the state, in its order, none twice, no keys."""
    need([each["path"] for each in state if each["path"] in names and not each["prng"]] == names, "leaves")


def prover(value: Any, point: bool) -> bool:
    """A canonical point of the curve of RFC 8032 whose order is not small: eight times it is not the neutral one."""
    if type(value) is not str or not re.fullmatch("ed25519:[0-9a-f]{64}", value):
        return False
    if not point:
        return True
    number = int.from_bytes(bytes.fromhex(value[8:]), "little")
    sign, y = number >> 255, number & 2**255 - 1
    if y >= P:
        return False
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or (x == 0 and sign):
        return False
    for _ in range(3):
        bent = D * x * x * y * y % P
        x, y = 2 * x * y * pow(1 + bent, -1, P) % P, (y * y + x * x) * pow(1 - bent, -1, P) % P
    return (x, y) != (0, 1)


def check_mesh(mesh: Any, state: list[dict[str, Any]]) -> None:
    name: Rule = lambda each: text(256)(each) and each != ""  # noqa: E731
    names = listed(text(256))
    fields(
        mesh,
        axes=listed(lambda each: fields(each, name=name, size=integer(1)), 1, 16),
        state=listed(listed(names)),
        batch=names,
    )
    sizes = {each["name"]: each["size"] for each in mesh["axes"]}
    need(len(sizes) == len(mesh["axes"]) and math.prod(sizes.values()) <= 2**20, "axes")
    need(len(mesh["state"]) == len(state), "state")
    need([len(cuts) for cuts in mesh["state"]] == [len(leaf["shape"]) for leaf in state], "state")
    for cuts, leaf in [*zip(mesh["state"], state, strict=True), ([mesh["batch"]], {"pieces": [0]})]:
        used = [axis for cut in cuts for axis in cut]
        need(len(set(used)) == len(used) and set(used) <= sizes.keys(), "mesh")
        for cut, pieces in zip(cuts, leaf["pieces"], strict=True):
            need(pieces % math.prod(sizes[axis] for axis in cut) == 0, "mesh")


def claim(content: bytes) -> dict[str, Any]:
    value: dict[str, Any] = parse(content)
    need(type(value) is dict and value.get("format") in ("pol-jax/1", "pol-jax/2"), "format")
    second = version_of(value) == 2
    at: dict[str, Rule] = {"from": integer(0)}
    newer: dict[str, Rule] = {
        "environments": listed(
            lambda each: fields(each, environment=lambda one: environment(one, True), **at), 1, 1024
        ),
        "interventions": listed(intervention, 0, 1024),
    }
    older: dict[str, Rule] = {"environment": lambda each: environment(each, False)}
    common: dict[str, Rule] = {"commitment": digest, "ledger_root": digest, "final_state": digest}
    fields(value, format=text(9), steps=integer(1, 2**32 - 1), **common, **(newer if second else older))
    if second:
        begins = [each["from"] for each in value["environments"]]
        need(begins[0] == 0 and ascending(begins) and begins[-1] < value["steps"], "environments")
        after = [each["after"] for each in value["interventions"]]
        need(ascending(after) and all(each < value["steps"] for each in after), "interventions")
    return value


def environment(value: Any, second: bool) -> None:
    short, ordered = text(1024), listed(text(1024))
    texts = ("platform", "platform_version", "device_kind", "jax", "jaxlib", "machine", "cpu", "collectives")
    lists = ("xla_flags", "cpu_features", "shardings", *(("variables", "libraries") if second else ()))
    counts = ("device_count", "process_count", "cpu_count")
    rules = {**dict.fromkeys(texts, short), **dict.fromkeys(lists, ordered), **dict.fromkeys(counts, integer(1))}
    fields(value, **rules)
    for name in lists if second else ():
        need(value[name] == sorted(value[name]), name)
    need(not (second and value["shardings"]), "shardings")


def intervention(value: Any) -> None:
    leaves = listed(lambda each: type(each) is str, 1)
    fields(value, after=integer(0), leaves=leaves, digest=digest, reason=text(256))


def inventory(content: bytes) -> dict[str, Any]:
    value: dict[str, Any] = parse(content)
    need(type(value) is dict and value.get("format") in ("pol-jax/1", "pol-jax/2"), "format")
    fields(value, format=text(9), files=lambda each: type(each) is dict)
    for name, entry in value["files"].items():
        need(FILE.fullmatch(name) and name != "inventory.json" and not beside(name), "files")
        fields(entry, size=integer(0), digest=digest)
    twins(value["files"])
    return value


def beside(name: str) -> bool:
    parts = name.split("/")
    return parts[0] in BESIDE or not ANYWHERE.isdisjoint(parts)


def twins(names: Any) -> None:
    """Refuse two names in a directory that are equal but for case."""
    found = {"/".join(parts[:end]) for name in names for parts in [name.split("/")] for end in range(1, len(parts) + 1)}
    need(len({each.lower() for each in found}) == len(found), "files: equal but for case")


DOCUMENTS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "commitment": commitment,
    "claim": claim,
    "inventory": inventory,
}
