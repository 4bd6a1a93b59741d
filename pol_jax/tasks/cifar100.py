"""This task trains ResNet-50 on CIFAR-100 for 200 epochs, as in Jia et al., "Proof-of-Learning", S&P 2021.

Data: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, from a TFDS data directory.
"""

from __future__ import annotations

from pathlib import Path

from pol_jax.tasks.cifar import BATCH_SIZE, Normalization, cifar
from pol_jax.tasks.resnet import resnet50
from pol_jax.training.task import Task

STEPS = 200 * 50_000 // BATCH_SIZE
NORMALIZATION = Normalization(mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762))


def cifar100(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """Return the task.

    Args:
        data_dir: a TFDS data directory with ``cifar100`` in array_record files.
        steps: number of steps, which the learning rate depends on; 78,125 by default, which are 200 epochs.

    Raises:
        UsageError: the data set is not in ``data_dir``.
    """
    steps = STEPS if steps is None else steps
    return cifar("cifar100", lambda rngs: resnet50(100, rngs=rngs), NORMALIZATION, steps, data_dir)
