"""A process of ours doesn't outlive the one that started it."""

from __future__ import annotations

import os
import time
from threading import Thread


def exit_with(starter: int) -> None:
    """Let this process exit when the one that started it is gone.

    A process whose starter was killed would go on computing for nobody.

    Args:
        starter: number of the process that started this one.
    """
    Thread(target=_exit_with, args=(starter,), daemon=True).start()


def _exit_with(starter: int) -> None:
    # PR_SET_PDEATHSIG would be simpler; but it fires when the thread that started this process ends, not the process.
    while os.getppid() == starter:
        time.sleep(1)
    os._exit(1)  # at once: other threads may be in a native library
