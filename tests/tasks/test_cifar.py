"""The tasks cifar10 and cifar100 follow their recipe, and learn."""

from __future__ import annotations

import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from standin import KEY, pictures

from pol_jax.tasks import cifar
from pol_jax.tasks.tfds import LabelledImages
from pol_jax.training.records import Cached


def test_cifar_schedule() -> None:
    rate = cifar.schedule(64_000)
    found = [float(rate(step)) for step in (0, 31_999, 32_001, 47_999, 48_001, 63_999)]
    assert found == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_cifar_sgd() -> None:
    optimizer = cifar.sgd(optax.constant_schedule(0.1))
    w, v = np.array([1.0, -2.0], np.float32), np.zeros(2, np.float32)
    params, state = jnp.asarray(w), optimizer.init(jnp.asarray(w))
    for g in (np.array([0.5, 0.0], np.float32), np.array([-1.0, 2.0], np.float32)):
        updates, state = optimizer.update(jnp.asarray(g), state, params)
        params = optax.apply_updates(params, updates)
        v = 0.9 * v + (g + 1e-4 * w)
        w = w - 0.1 * v
        np.testing.assert_allclose(params, w, rtol=1e-6)


def test_cifar_augmentation() -> None:
    image = np.random.default_rng(0).integers(1, 256, (64, 32, 32, 3), np.uint8)
    found = np.asarray(cifar.augmented(jnp.asarray(image), KEY))
    assert found.shape == image.shape
    assert found.dtype == np.uint8
    padded = np.pad(image, ((0, 0), (4, 4), (4, 4), (0, 0)))
    places = set()
    for i in range(64):
        corners = itertools.product(range(9), range(9), (1, -1))
        crops = {(y, x, f): padded[i, y : y + 32, x : x + 32][:, ::f] for y, x, f in corners}
        (place,) = [place for place, crop in crops.items() if np.array_equal(crop, found[i])]
        places.add(place)
    rows, columns, flips = (set(values) for values in zip(*places, strict=True))
    assert rows == columns == set(range(9))
    assert flips == {1, -1}
    np.testing.assert_array_equal(found, cifar.augmented(jnp.asarray(image), KEY))
    assert not np.array_equal(found, cifar.augmented(jnp.asarray(image), jax.random.key(1)))
    other = np.asarray(cifar.augmented(jnp.asarray(255 - image), KEY))  # where depends on the key, not on the pixels
    np.testing.assert_array_equal(other[found != 0], 255 - found[found != 0])


def test_cifar_records(tiny: Path) -> None:
    source = Cached(LabelledImages("cifar10", "train", tiny))
    for _ in range(2):
        batch = source.records_at(np.array([3, 0, 3]))
        np.testing.assert_array_equal(batch["image"], pictures(16)[[3, 0, 3]])
        np.testing.assert_array_equal(batch["label"], np.array([1, 0, 1], np.int32), strict=True)
    assert len(source) == 16
