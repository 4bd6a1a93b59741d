"""Messages between the caller and the child keep their content, and hostile ones are refused."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest

from pol_jax.protocol.challenge import Stretch, draw
from pol_jax.protocol.policies import TopSegments
from pol_jax.sandbox.messages import decode_from_child
from pol_jax.verifying.request import ProofRequest


def top(q: int, measured: list[Stretch]) -> list[int]:
    return draw(TopSegments(q), measured[-1].segments.stop, bytes(32), b"", measured)


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy": "top"},
        {"policy": "top", "q": 0},
        {"policy": "top", "q": 1.5},
        {"policy": "top", "q": True},
        {"policy": "top", "q": 1, "metric": "L2"},
        {"policy": "top", "q": 1, "confidence": 0.5},
        {"policy": "joint", "q": 1, "confidence": 1.0},
        {"policy": "joint", "q": -1},
        {"policy": "best", "q": 1},
    ],
)
def test_messages_hold_policies_and_nothing_else(wrong: dict[str, object]) -> None:
    request = ProofRequest(path="proof", policy=TopSegments(2, "linf"), nonce=b"n")
    content = msgspec.msgpack.encode(request)
    assert msgspec.msgpack.decode(content, type=ProofRequest) == request
    changed = msgspec.msgpack.decode(content) | {"policy": wrong}
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(changed), type=ProofRequest)


@pytest.mark.parametrize(
    "message",
    [
        b"\x82\xa4type\xacread_records\xa7indices\xdd\xff\xff\xff\xff",
        b"\x82\xa4type\xacread_records\xa7indices\xdd" + (2**20 + 1).to_bytes(4, "big") + b"\0" * (2**20 + 1),
        b"\x82\xa4type\xa8finished\xa6report\xc6\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
    ],
    ids=["a list of 2^32", "more records than a step may take", "4 GiB of bytes", "a map of 2^32"],
)
def test_a_message_that_claims_much_takes_no_memory(message: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(msgspec.MsgspecError):
            decode_from_child(message)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
