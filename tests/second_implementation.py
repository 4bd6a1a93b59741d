"""A second implementation of what is hashed and drawn, written from docs/protocol.md alone.

Imports nothing of pol_jax, jax or rfc8785. Where it and pol_jax agree on ``tests/vectors``, the document says enough.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from blake3 import blake3

MASK32, MASK64 = 2**32 - 1, 2**64 - 1
ITEM_BYTES = {
    **{"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8},
    **{"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16},
    **{"float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3b11fnuz": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1},
}


def digest(context: str, payload: bytes, length: int = 32, version: int = 1) -> bytes:
    return blake3(payload, derive_key_context=f"pol-jax/{version} {context}").digest(length=length)


def version_of(document: dict[str, Any]) -> int:
    return {"pol-jax/1": 1, "pol-jax/2": 2}[document["format"]]


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


# --- canonical JSON ----------------------------------------------------------------------------------------------


class Refused(ValueError):
    pass


def number(value: float) -> str:
    """A double as ECMAScript writes it, from the shortest digits that Python's repr gives."""
    if not math.isfinite(value):
        raise Refused("no JSON number")
    if value == 0:
        return "0"
    sign, (mantissa, _, exponent) = "-" * (value < 0), repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    tail = "." + digits[1:] if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def canonical(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            if abs(value) >= 2**53:
                raise Refused("integer beyond 2^53 - 1")
            return str(value)
        case float():
            return number(value)
        case str():
            value.encode("utf-8")  # no half surrogate pairs
            return json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            return "[" + ",".join(map(canonical, value)) + "]"
    fields = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
    return "{" + ",".join(canonical(name) + ":" + canonical(item) for name, item in fields) + "}"


def parse(content: bytes) -> Any:
    """The value in a canonical document; what it says beyond that is not looked at here."""

    def fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) != len(pairs):
            raise Refused("duplicate field")
        return dict(pairs)

    try:
        text = content.decode("utf-8")
        depth = deepest = 0
        for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
            depth += 1 if bracket in "[{" else -1
            deepest = max(deepest, depth)
        if deepest > 16:
            raise Refused("nested too deep")
        value = json.loads(text, object_pairs_hook=fields)
        if canonical(value).encode() != content:
            raise Refused("not canonical")
    except UnicodeError as error:
        raise Refused("not UTF-8") from error
    except Refused:
        raise
    except ValueError as error:
        raise Refused("not JSON") from error
    return value


# --- Merkle trees, by the recursive definition of RFC 6962 -------------------------------------------------------


def split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def merkle_root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return digest("merkle node", merkle_root(leaves[:k]) + merkle_root(leaves[k:]))


def merkle_path(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*merkle_path(leaves[:k], index), merkle_root(leaves[k:])]
    return [*merkle_path(leaves[k:], index - k), merkle_root(leaves[:k])]


def merkle_check(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    if not 0 <= index < size or any(len(item) != 32 for item in (leaf, *path)):
        raise Refused("no leaf there, or no digest")
    if size == 1:
        if path:
            raise Refused("path too long")
        return leaf
    if not path:
        raise Refused("path too short")
    k = split(size)
    if index < k:
        return digest("merkle node", merkle_check(leaf, index, k, path[:-1]) + path[-1])
    return digest("merkle node", path[-1] + merkle_check(leaf, index - k, size - k, path[:-1]))


# --- states and rows ---------------------------------------------------------------------------------------------


def piece_digests(leaf: dict[str, Any], content: bytes) -> list[bytes]:
    array = np.frombuffer(content, np.uint8).reshape(*leaf["shape"], ITEM_BYTES[leaf["dtype"]])
    sizes = [size // parts for size, parts in zip(leaf["shape"], leaf["pieces"], strict=True)]
    found = []
    for place in range(math.prod(leaf["pieces"])):
        part = array
        for axis in reversed(range(len(sizes))):
            place, at = divmod(place, leaf["pieces"][axis])
            part = np.moveaxis(np.moveaxis(part, axis, 0)[at * sizes[axis] : (at + 1) * sizes[axis]], 0, axis)
        found.append(digest("piece", part.tobytes()))
    return found


def state_digest(spec: list[dict[str, Any]], leaves: list[bytes]) -> bytes:
    pieces = [piece for leaf, content in zip(spec, leaves, strict=True) for piece in piece_digests(leaf, content)]
    return digest("state", digest("state spec", canonical(spec).encode()) + b"".join(pieces))


def taken_digest(state: list[dict[str, Any]], leaves: list[bytes], taken: list[str]) -> bytes:
    """Of the leaves that an initial state takes over, which a commitment has."""
    pairs = [(leaf, content) for leaf, content in zip(state, leaves, strict=True) if leaf["path"] in taken]
    if not taken or [leaf["path"] for leaf, _ in pairs] != taken or any(leaf["prng"] for leaf, _ in pairs):
        raise Refused("no list of leaves that may be taken over")
    return state_digest([leaf for leaf, _ in pairs], [content for _, content in pairs])


def record_salt(secret: bytes, index: int, record: bytes, version: int = 2) -> bytes:
    """``record`` is the digest that the record has without a salt."""
    if version == 1:
        return digest("record salt", secret + u64(index))
    return digest("record salt", secret + u64(index) + record, version=2)


def row_bytes(
    step: int,
    key: bytes,
    indices: list[int],
    batch: bytes,
    state: bytes | None,
    metrics: bytes,
    version: int = 2,
) -> bytes:
    content = u64(step) + u64(len(key)) + key + u64(len(indices)) + b"".join(map(u64, indices)) + batch
    content += b"\0" if state is None else b"\1" + state
    if version == 1:
        return content + (b"\1" + metrics if metrics else b"\0")
    return content + u64(len(metrics) // 4) + metrics


# --- keys --------------------------------------------------------------------------------------------------------


def threefry(key: tuple[int, int], count: tuple[int, int]) -> tuple[int, int]:
    words = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    x, y = (count[0] + words[0]) & MASK32, (count[1] + words[1]) & MASK32
    for group in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            x = (x + y) & MASK32
            y = ((y << turn | y >> 32 - turn) & MASK32) ^ x
        x = (x + words[(group + 1) % 3]) & MASK32
        y = (y + words[(group + 2) % 3] + group + 1) & MASK32
    return x, y


def step_key(commitment: bytes, prng: str, step: int) -> list[int]:
    count = {"threefry2x32": 2, "rbg": 4, "unsafe_rbg": 4}[prng]
    root = [int.from_bytes(commitment[4 * at : 4 * at + 4], "little") for at in range(count)]
    return [word for at in range(0, count, 2) for word in threefry((root[at], root[at + 1]), (0, step))]


# --- order of records, challenge ---------------------------------------------------------------------------------


def place(key: bytes, epoch: int, size: int, at: int) -> int:
    """Where ``at`` goes in the permutation of ``range(size)``."""
    stream = digest("order", key + u64(epoch), 64)
    keys = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(8)]
    half = 1
    while 4**half < size:
        half += 1
    while True:
        left, right = at >> half, at & (1 << half) - 1
        for round_key in keys:
            x = (right + round_key) & MASK64
            x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK64
            x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK64
            left, right = right, left ^ (x ^ x >> 31) >> 64 - half
        at = left << half | right
        if at < size:
            return at


def batch(commitment: bytes, records: int, batch_size: int, step: int) -> list[int]:
    first = (step - 1) * batch_size
    return [place(commitment, at // records, records, at % records) for at in range(first, first + batch_size)]


def sample_size(segments: int, confidence: str, fraction: str) -> int:
    """The least sample, by the numbers as the policy's canonical JSON spells them."""
    wrong = max(1, math.ceil(Fraction(fraction) * segments))
    missed, drawn = Fraction(1), 0
    while 1 - missed < Fraction(confidence):
        missed *= Fraction(segments - wrong - drawn, segments - drawn)
        drawn += 1
    return drawn


def random_segments(claim: bytes, nonce: bytes, policy: dict[str, Any], segments: int, version: int = 2) -> set[int]:
    payload = claim + u64(len(nonce)) + nonce + canonical(policy).encode()
    count = sample_size(segments, number(policy["confidence"]), number(policy["fraction"]))
    if version == 1:
        key = digest("challenge", payload)
        return {place(key, 0, segments, at) for at in range(count)}
    stream = digest("challenge", payload, 8 * (2 * count + 64), version=2)
    words = [int.from_bytes(stream[at : at + 8], "little") for at in range(0, len(stream), 8)]
    numbers, taken = list(range(segments)), 0
    for at in range(count):
        left = segments - at
        while words[taken] >= 2**64 // left * left:
            taken += 1
        other = at + words[taken] % left
        taken += 1
        numbers[at], numbers[other] = numbers[other], numbers[at]
    return set(numbers[:count])


def top_segments(q: int, stretches: Sequence[Sequence[Any]]) -> set[int]:
    """The segments of those stretches that fewer than q of their epoch come before."""

    def rank(stretch: Sequence[Any]) -> tuple[int, float, int]:
        first, _, _, size = stretch
        finite = math.isfinite(float(size))
        return (1, -float(size), first) if finite else (0, 0.0, first)

    chosen = set[int]()
    for first, stop, epoch, size in stretches:
        rivals = [other for other in stretches if other[2] == epoch]
        if sum(rank(other) < rank([first, stop, epoch, size]) for other in rivals) < q:
            chosen.update(range(first, stop))
    return chosen


def draw(
    claim: bytes,
    nonce: bytes,
    policy: dict[str, Any],
    segments: int,
    stretches: Sequence[Sequence[Any]] = (),
    version: int = 2,
) -> list[int]:
    chosen = set[int]()
    if policy["policy"] in ("random", "joint"):
        chosen |= random_segments(claim, nonce, policy, segments, version)
    if policy["policy"] in ("top", "joint"):
        chosen |= top_segments(policy["q"], stretches)
    return sorted(chosen)


def draw_steps(claim: bytes, nonce: bytes, policy: dict[str, Any], steps: int, version: int = 2) -> list[int]:
    return sorted(at + 1 for at in random_segments(claim, nonce, policy, steps, version))


def challenged_steps(claim: bytes, nonce: bytes, policy: dict[str, Any], steps: int, version: int = 2) -> list[int]:
    return sorted({1, steps, *draw_steps(claim, nonce, policy, steps, version)})


# --- magnitudes --------------------------------------------------------------------------------------------------


def lanes_sum(leaves: list[list[float]]) -> float:
    lanes = [0.0] * 2**16
    for leaf in leaves:
        for at, element in enumerate(leaf):
            lanes[at % 2**16] += element
    total = 0.0
    for lane in lanes:  # not Python's sum, which compensates for what it rounds
        total += lane
    return total


def magnitude(metric: str, before: list[list[float]], after: list[list[float]]) -> float:
    """Between the floating-point leaves of two states, each leaf a list of doubles."""

    def summed(term: Callable[[float, float], float]) -> float:
        return lanes_sum([[term(a, b) for a, b in zip(x, y, strict=True)] for x, y in zip(before, after, strict=True)])

    match metric:
        case "l1":
            return summed(lambda a, b: abs(b - a))
        case "l2":
            return math.sqrt(summed(lambda a, b: (b - a) * (b - a)))
        case "linf":
            sizes = [abs(b - a) for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True)]
            return math.nan if any(map(math.isnan, sizes)) else max(sizes, default=0.0)
    ab, aa, bb = summed(lambda a, b: a * b), summed(lambda a, b: a * a), summed(lambda a, b: b * b)
    if not (math.isfinite(ab) and math.isfinite(aa) and math.isfinite(bb)):
        return math.nan
    if aa == 0 or bb == 0:
        return 0.0 if before == after else 1.0
    return 1 - ab / (math.sqrt(aa) * math.sqrt(bb))


# --- openings ----------------------------------------------------------------------------------------------------


def pack(value: Any) -> bytes:
    """MessagePack, every number and length in its shortest form."""

    def sized(size: int, fix: tuple[int, int] | None, codes: list[tuple[int, int]]) -> bytes:
        if fix and size < fix[1]:
            return bytes([fix[0] | size])
        code, width = next((code, width) for code, width in codes if size < 256**width)
        return bytes([code]) + size.to_bytes(width, "big")

    match value:
        case None:
            return b"\xc0"
        case int():
            return sized(value, (0, 128), [(0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)])
        case str():
            content = value.encode()
            return sized(len(content), (0xA0, 32), [(0xD9, 1), (0xDA, 2), (0xDB, 4)]) + content
        case bytes():
            return sized(len(value), None, [(0xC4, 1), (0xC5, 2), (0xC6, 4)]) + value
        case list():
            return sized(len(value), (0x90, 16), [(0xDC, 2), (0xDD, 4)]) + b"".join(map(pack, value))
    head = sized(len(value), (0x80, 16), [(0xDE, 2), (0xDF, 4)])
    return head + b"".join(pack(name) + pack(item) for name, item in value.items())


def opened(opening: dict[str, Any], claim: bytes) -> dict[int, bytes]:
    """What an opening shows under a claim, checked as section 14 says but for the replay: states' digests by step."""
    claimed, commitment = parse(claim), parse(opening["commitment"])
    version = version_of(claimed)
    if opening["claim"] != digest("claim", claim, version=version):
        raise Refused("another claim")
    if {opening["format"], commitment["format"]} != {claimed["format"]}:
        raise Refused("another version")
    seed = digest("commitment", opening["commitment"], version=version)
    programs = {name: digest(f"{name} program", opening[name]).hex() for name in ("init", "step")}
    committed = {name: commitment["program"][name] for name in programs}
    if seed.hex() != claimed["commitment"] or programs != committed:
        raise Refused("another commitment or program")
    records, rows = opened_records(opening["records"], commitment["data"]), dict[int, Any]()
    schedule = commitment["schedule"]
    for each in opening["rows"]:
        content = each["row"]
        step, words = (int.from_bytes(content[at : at + 8], "little") for at in (0, 8))
        at = 24 + words + 8 * (schedule["batch_size"] if step else 0)
        drawn = batch(seed, commitment["data"]["records"], schedule["batch_size"], step) if step else []
        key = b"".join(word.to_bytes(4, "little") for word in step_key(seed, schedule["prng"], step))
        if content[:at] != u64(step) + u64(len(key)) + key + u64(len(drawn)) + b"".join(map(u64, drawn)):
            raise Refused("another key or batch")
        if set(drawn) <= records.keys() and content[at : at + 32] != digest(
            "batch", b"".join(map(records.__getitem__, drawn))
        ):
            raise Refused("another batch digest")
        root = merkle_check(digest("ledger row", content, version=version), step, claimed["steps"] + 1, each["path"])
        if root.hex() != claimed["ledger_root"]:
            raise Refused("not in the ledger")
        rows[step] = content[at + 33 : at + 65] if content[at + 32] else None
    for each in opening["states"]:
        leaves = each["leaves"] if version == 1 else [b"".join(parts) for parts in each["leaves"]]
        if state_digest(commitment["state"], leaves) != rows[each["step"]]:
            raise Refused("another state")
    return {each["step"]: rows[each["step"]] for each in opening["states"]}


def opened_records(records: list[dict[str, Any]], data: dict[str, Any]) -> dict[int, bytes]:
    found = {}
    for each in records:
        content = b"".join(each["leaves"])
        leaf = digest("salted record", each["salt"] + content) if data["salted"] else digest("record", content)
        if merkle_check(leaf, each["index"], data["records"], each["path"]).hex() != data["root"]:
            raise Refused("not in the data set")
        found[each["index"]] = leaf
    return found
