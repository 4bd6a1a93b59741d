"""Messages between the caller and the child."""

from __future__ import annotations

import msgspec
import pytest

from pol_jax.protocol.challenge import Stretch, TopSegments, draw
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
