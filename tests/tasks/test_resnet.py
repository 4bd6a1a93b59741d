"""The residual networks have the parameters that the literature gives them."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from standin import KEY

from pol_jax.tasks.resnet import BasicBlock, resnet20, resnet50


@cache
def abstract(build: Any, classes: int) -> Any:
    """A network with shapes for weights; nothing changes it."""
    return nnx.eval_shape(lambda: build(classes, rngs=nnx.Rngs(0)))


def test_parameter_counts() -> None:
    def shapes(build: Any, classes: int) -> list[tuple[int, ...]]:
        state = nnx.state(abstract(build, classes), nnx.Param)
        return [leaf.shape for leaf in jax.tree.leaves(nnx.to_pure_dict(state))]

    def layers(found: list[tuple[int, ...]]) -> int:
        return sum(len(shape) > 1 for shape in found)

    small, large = shapes(resnet20, 10), shapes(resnet50, 100)
    assert sum(map(np.prod, small)) == 269_722  # 0.27M, table 6 of the paper
    assert layers(small) == 20
    # torchvision's 25,557,032 less its 1,000 classes and 7x7 stem, plus 100 classes and a 3x3 stem
    assert sum(map(np.prod, large)) == 25_557_032 - 2048 * 1000 - 1000 - 9408 + 1728 + 2048 * 100 + 100
    assert layers(large) == 50 + 4  # and four projections


def test_images_are_halved_between_stages() -> None:
    for model, depths in ((abstract(resnet20, 10), (3, 3, 3)), (abstract(resnet50, 100), (3, 4, 6, 3))):
        x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
        sizes = []
        for block in model.blocks:
            x = jax.ShapeDtypeStruct((1, *x.shape[1:3], block.conv1.in_features), jnp.float32)
            x = nnx.eval_shape(lambda block, x: block(x, train=True), block, x)
            sizes.append(x.shape[1:3])
        assert sizes == [(32 >> stage, 32 >> stage) for stage, depth in enumerate(depths) for _ in range(depth)]


def test_shortcut_of_option_a() -> None:
    block = BasicBlock(2, 4, 2, rngs=nnx.Rngs(0))
    block.conv2.kernel[...] = jnp.zeros_like(block.conv2.kernel[...])
    x = jnp.arange(1 * 4 * 4 * 2, dtype=jnp.float32).reshape(1, 4, 4, 2) - 10
    y = np.asarray(block(x, train=False))
    np.testing.assert_array_equal(y[..., :2], np.maximum(x[:, ::2, ::2], 0))
    assert y.shape == (1, 2, 2, 4)
    assert not y[..., 2:].any()


def test_batch_norm_momentum() -> None:
    block = BasicBlock(3, 4, 1, rngs=nnx.Rngs(0))
    x = jax.random.normal(KEY, (4, 8, 8, 3))
    block(x, train=False)
    assert not block.norm1.mean[...].any()
    block(x, train=True)
    np.testing.assert_allclose(block.norm1.mean[...], 0.1 * block.conv1(x).mean((0, 1, 2)), atol=1e-6)
