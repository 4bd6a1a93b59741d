"""ResNet-20 on CIFAR-10, exactly as in He et al., arXiv:1512.03385, section 4.2 (91.25% there after 64,000 steps).

Data: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, from a TFDS data directory.
"""

from __future__ import annotations

from pathlib import Path

from pol_jax.tasks.cifar import Normalization, cifar
from pol_jax.tasks.resnet import resnet20
from pol_jax.training.task import Task

STEPS = 64_000
NORMALIZATION = Normalization(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))


def cifar10(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """The task.

    Args:
        data_dir: a TFDS data directory with ``cifar10`` in array_record files.
        steps: length of the training, which the learning rate follows; 64,000 by default, 164 epochs.

    Raises:
        UsageError: the data set isn't there.
    """
    steps = STEPS if steps is None else steps
    return cifar("cifar10", lambda rngs: resnet20(10, rngs=rngs), NORMALIZATION, steps, data_dir)
