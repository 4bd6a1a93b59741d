"""These are residual networks for 32x32 images, in Flax NNX.

Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385:
ResNet-20 from section 4.2 (three stages of `BasicBlock`, shortcuts of option A), ResNet-50 from table 1 (four stages of
`Bottleneck`, option B) with the first layers of section 4.2, a 3x3 convolution and no pooling, as usual for CIFAR.
Convolutions lie outside of any scan, where XLA:CPU is 10 to 100 times slower (jax issue 12868).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

Images = Float[Array, "batch height width channels"]
Smaller = Float[Array, "batch rows columns outputs"]

_HE_NORMAL = nnx.initializers.variance_scaling(2.0, "fan_in", "normal")  # He et al., arXiv:1502.01852
_norm = partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5)


def _conv(inputs: int, outputs: int, size: int, stride: int, rngs: nnx.Rngs) -> nnx.Conv:
    """Return a convolution without bias, with ``size // 2`` zeros on every side, also for stride 2."""
    # With "SAME", stride 2 would have its zeros on one side only.
    pad = (size // 2, size // 2)
    return nnx.Conv(
        inputs, outputs, (size, size), stride, padding=(pad, pad), use_bias=False, kernel_init=_HE_NORMAL, rngs=rngs
    )


class BasicBlock(nnx.Module):
    """A block of two 3x3 convolutions.

    The shortcut is the identity, subsampled and padded with channels of zeros (option A).
    """

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, *, rngs: nnx.Rngs) -> None:
        """Make a block that takes ``inputs`` channels and returns ``width``."""
        self.conv1, self.norm1 = _conv(inputs, width, 3, stride, rngs), _norm(width, rngs=rngs)
        self.conv2, self.norm2 = _conv(width, width, 3, 1, rngs), _norm(width, rngs=rngs)
        self.stride, self.extra = stride, width - inputs

    def __call__(self, x: Images, train: bool) -> Smaller:
        """Return the block's outputs, with batch statistics if ``train``, else with running averages."""
        y = nnx.relu(self.norm1(self.conv1(x), use_running_average=not train))
        y = self.norm2(self.conv2(y), use_running_average=not train)
        shortcut = x[:, :: self.stride, :: self.stride]
        return nnx.relu(y + jnp.pad(shortcut, ((0, 0), (0, 0), (0, 0), (0, self.extra))))


class Bottleneck(nnx.Module):
    """A block of 1x1, 3x3 and 1x1 convolutions; the shortcut is projected where the shape changes (option B)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, *, rngs: nnx.Rngs) -> None:
        """Make a block that takes ``inputs`` channels and returns ``4 * width``; the 3x3 convolution has the stride."""
        outputs = self.expansion * width
        self.conv1, self.norm1 = _conv(inputs, width, 1, 1, rngs), _norm(width, rngs=rngs)
        self.conv2, self.norm2 = _conv(width, width, 3, stride, rngs), _norm(width, rngs=rngs)
        self.conv3, self.norm3 = _conv(width, outputs, 1, 1, rngs), _norm(outputs, rngs=rngs)
        self.projected = stride != 1 or inputs != outputs
        if self.projected:
            self.conv0, self.norm0 = _conv(inputs, outputs, 1, stride, rngs), _norm(outputs, rngs=rngs)

    def __call__(self, x: Images, train: bool) -> Smaller:
        """Return the block's outputs, with batch statistics if ``train``, else with running averages."""
        y = nnx.relu(self.norm1(self.conv1(x), use_running_average=not train))
        y = nnx.relu(self.norm2(self.conv2(y), use_running_average=not train))
        y = self.norm3(self.conv3(y), use_running_average=not train)
        if self.projected:
            x = self.norm0(self.conv0(x), use_running_average=not train)
        return nnx.relu(y + x)


class ResNet(nnx.Module):
    """A network of a 3x3 convolution, stages of blocks, the mean over pixels, and a linear layer.

    Each stage but the first halves the image.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        width: int,
        classes: int,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        """Make stages of ``depths`` blocks; the first has ``width`` channels, each later one twice as many."""
        self.conv, self.norm = _conv(3, width, 3, 1, rngs), _norm(width, rngs=rngs)
        blocks, channels = [], width
        for stage, depth in enumerate(depths):
            for place in range(depth):
                stride = 2 if stage > 0 and place == 0 else 1
                blocks.append(block(channels, width << stage, stride, rngs=rngs))
                channels = block.expansion * (width << stage)
        self.blocks = nnx.List(blocks)
        self.linear = nnx.Linear(channels, classes, kernel_init=_HE_NORMAL, rngs=rngs)

    def __call__(self, x: Images, train: bool) -> Float[Array, "batch classes"]:
        """Return logits, with batch statistics if ``train``, else with running averages."""
        x = nnx.relu(self.norm(self.conv(x), use_running_average=not train))
        for block in self.blocks:
            x = block(x, train)
        logits: Float[Array, "batch classes"] = self.linear(x.mean((1, 2)))
        return logits


def resnet20(classes: int, *, rngs: nnx.Rngs) -> ResNet:
    """Return ResNet-20 of section 4.2, which has 0.27 million parameters for 10 classes."""
    return ResNet(BasicBlock, (3, 3, 3), 16, classes, rngs=rngs)


def resnet50(classes: int, *, rngs: nnx.Rngs) -> ResNet:
    """Return ResNet-50 for 32x32 images, which has 23.7 million parameters for 100 classes."""
    return ResNet(Bottleneck, (3, 4, 6, 3), 64, classes, rngs=rngs)
