"""This task trains ResNet-20 on CIFAR-10 as in He et al., arXiv:1512.03385, section 4.2.

Their test accuracy is 91.25% after 64,000 steps.

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
    """Return the task.

    Args:
        data_dir: a TFDS data directory with ``cifar10`` in array_record files.
        steps: number of steps, which the learning rate depends on; 64,000 by default, which are 164 epochs.

    Raises:
        UsageError: the data set is not in ``data_dir``.
    """
    steps = STEPS if steps is None else steps
    return cifar("cifar10", lambda rngs: resnet20(10, rngs=rngs), NORMALIZATION, steps, data_dir)
