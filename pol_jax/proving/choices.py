"""The prover chooses what a task leaves open: interval, seed, keys, what the run begins with (section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pol_jax.attesting.public_key import parse_public_text
from pol_jax.errors import ProofError, UsageError
from pol_jax.protocol.commitment import DataCommitment
from pol_jax.protocol.keys import KEY_WORDS, Prng
from pol_jax.proving.fine_tuning import Start

PRNG: Final[Prng] = "threefry2x32"
"""Keys have this implementation, unless the prover chooses another one."""


SECRET_BYTES: Final = 32
"""The secret that salts the records of a private data set has this many bytes (section 3)."""


def check_secret(secret: bytes | None, data: DataCommitment) -> None:
    """Check that a secret is given where the committed records are salted, and only there.

    Raises:
        UsageError: it is missing, or of no use.
    """
    if (secret is not None) != data.salted:
        problem = "salted; give the secret" if secret is None else "public; leave out the secret"
        raise UsageError(f"the records of this run are {problem}")


@dataclass(frozen=True)
class Choices:
    """Choices are what the prover decides beside the task.

    Attributes:
        interval: number of steps between two checkpoints; None for that of the task.
        seed: any text, which becomes the nonce of the commitment; None for "0".
        prover: the prover's public key, ``ed25519:`` and 64 hex digits, or None.
        beacon: a public random value, or None.
        secret: 32 bytes that salt the records of a private data set, or None.
        prng: implementation of the PRNG keys; None for threefry2x32.
        witness_interval: number of steps between two state digests; None for the smallest
            number that costs at most 2% of training, by measured times of steps and digests (`measure`).
        constant_bytes: size of the constants that the programs may hold; None for what verifiers allow by default.
        start: what the initial state takes over from an earlier proof or from weights; None for nothing.
        may_stop_early: whether the run may end before its last step, at any step that the prover likes. A verifier is
            told, because the best of many ends can be chosen by looking at test data.
    """

    interval: int | None = None
    seed: str | None = None
    prover: str | None = None
    beacon: str | None = None
    secret: bytes | None = field(default=None, repr=False)
    prng: Prng | None = None
    witness_interval: int | None = None
    constant_bytes: int | None = None
    start: Start | None = None
    may_stop_early: bool = False

    def __post_init__(self) -> None:
        """Refuse what no commitment can express.

        Raises:
            UsageError: a number, the secret or the name of the PRNG is none that is possible.
        """
        for name in ("interval", "witness_interval"):
            number = getattr(self, name)
            if number is not None and (not isinstance(number, int) or not 1 <= number <= 2**20):
                raise UsageError(f"{name}: expected an integer from 1 to {2**20}, got {number!r:.40}")
        if self.secret is not None and (not isinstance(self.secret, bytes) or len(self.secret) != SECRET_BYTES):
            got = f"{len(self.secret)} bytes" if isinstance(self.secret, bytes) else type(self.secret).__name__
            raise UsageError(f"secret: expected {SECRET_BYTES} bytes, got {got}; secrets.token_bytes({SECRET_BYTES})")
        if self.prng is not None and self.prng not in KEY_WORDS:
            raise UsageError(f"prng: expected one of {', '.join(KEY_WORDS)}, got {self.prng!r:.40}")
        if self.seed is not None and not isinstance(self.seed, str):
            raise UsageError(f"seed: expected a text, got {type(self.seed).__name__}; str(seed)")
        if self.prover is not None:
            try:
                parse_public_text(self.prover, "prover")
            except (ProofError, TypeError) as error:
                raise UsageError(f"{error}; give key=pol_jax.read_private_key(...) in its place") from error
