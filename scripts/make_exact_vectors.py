"""Make the test vectors of exact arithmetic, or check that the code still gives them.

python scripts/make_exact_vectors.py            writes pol_jax/exact/vectors.json
python scripts/make_exact_vectors.py --check    exits with 1 if the file has other bits
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import pol_jax.exact
from pol_jax.exact.operations import OF_KEYS, OF_MATRICES, ONE_ARGUMENT, TWO_ARGUMENTS
from pol_jax.exact.self_testing import results_of
from pol_jax.exact.vectors import Vector, document

FILE = Path(pol_jax.exact.__file__).with_name("vectors.json")
COUNT = 64
SPECIAL = np.array(
    [
        0x00000000,  # 0
        0x80000000,  # -0
        0x3F800000,  # 1
        0xBF800000,  # -1
        0x3F7FFFFF,  # just below 1
        0x3F800001,  # just above 1
        0x3F000000,  # 1/2
        0x40490FDB,  # pi
        0x4B800001,  # beyond 2**24
        0x7F7FFFFF,  # the largest
        0x7F800000,  # infinity
        0xFF800000,  # minus infinity
        0x7FC00000,  # NaN
        0xFFC00123,  # NaN with a payload
        0x0D800000,  # 2**-100
        0x0D7FFFFF,  # just below: a product is flushed here
        0x02000000,  # 2**-123
        0x00800000,  # the smallest normal number
        0x00000001,  # the smallest subnormal number
        0x3FBA18C4,  # 12196067 * 2**-23: its reciprocal root is closest to the middle of two numbers
        0x42B17218,  # just above the largest logarithm
        0xC28A0000,  # -69
        0x3EC90FDB,  # pi/8
        0x4C7FFFFF,  # just below 2**26
    ],
    np.uint32,
).view(np.float32)


def scattered(generator: np.random.Generator, count: int, widest: float) -> np.ndarray:
    """Numbers of both signs whose logarithms are spread evenly."""
    values = generator.choice([-1.0, 1.0], count) * 2.0 ** generator.uniform(-widest, widest, count)
    return values.astype(np.float32)


def inputs() -> list[tuple[str, tuple[np.ndarray, ...]]]:
    """The inputs of all vectors."""
    generator = np.random.Generator(np.random.PCG64(1))
    made: list[tuple[str, tuple[np.ndarray, ...]]] = []
    half = (COUNT - len(SPECIAL)) // 2
    for name in ONE_ARGUMENT:
        near, far = scattered(generator, half, 3), scattered(generator, COUNT - len(SPECIAL) - half, 60)
        made.append((name, (np.concatenate([SPECIAL, near, far]),)))
    for name in TWO_ARGUMENTS:
        plain = [scattered(generator, COUNT, 4), scattered(generator, COUNT, 30)]
        pairs = [np.concatenate([generator.permutation(SPECIAL), values[len(SPECIAL) :]]) for values in plain]
        made.append((name, tuple(pairs)))
    for name in OF_MATRICES:
        made.append((name, tuple(scattered(generator, 64, 3).reshape(8, 8) for _ in range(2))))
    made += [(name, (np.array([1, 2], np.uint32),)) for name in OF_KEYS]
    return made


def main() -> int:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    arguments = parser.parse_args()
    bare = [Vector(name, arrays, ()) for name, arrays in inputs()]
    made = [
        Vector(vector.operation, vector.inputs, outputs) for vector, outputs in zip(bare, results_of(bare), strict=True)
    ]
    text = document(made)
    if not arguments.check:
        FILE.write_text(text)
        return 0
    same = FILE.read_text() == text
    sys.stdout.write("the vectors are as they were\n" if same else f"{FILE} has other vectors\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
