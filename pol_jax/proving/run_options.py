"""A caller asks for a run by keywords, which become one frozen value that is validated where it is built."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypedDict, Unpack

import jax
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax.progress import Progress, Silent
from pol_jax.proving.aim import check_aim, check_count
from pol_jax.proving.choices import Choices
from pol_jax.proving.sharding import Shardings, check_devices
from pol_jax.proving.signing import choices_of
from pol_jax.training.follower import OnStep
from pol_jax.training.processes import TIMEOUT


class RunOptions(TypedDict, total=False):
    """Run options are what `train` and `Recording` take by keyword; what is left out has its default.

    Attributes:
        steps: number of steps; None for that of the interrupted run, or else of the task.
        keep_every: one checkpoint of this many is kept, and always the last one. The proof is then smaller, and replays
            take longer to reach a segment. None for what the interrupted run had, or else for all checkpoints.
        choices: interval, seed, keys and other choices, which must not contradict an interrupted run.
        progress: told of the steps.
        on_step: ``on_step(step, metrics)`` receives all metrics of each step as numbers, in order, for logging of
            one's own. It is called from another thread, soon after the step has run; if it raises, the run ends.
        self_check: one segment of so many, chosen by chance, is executed a second time when it ends, so that silent
            data corruption is found. None for no segment.
        mesh: the devices that train, of all processes; None for one device.
        shardings: how the state and the batch are cut among them: ``(those of the state, that of the batch)``, as
            ``jax.jit`` takes them. An interrupted run needs neither: it goes on as it was committed to.
        timeout: seconds after which a process that has not reported a step is given up, if there are several.
        key: the prover's private key (`pol_jax.read_private_key`). Its public half enters the commitment, and so every
            seed; it signs the commitment before step 0 and the claim in the end, in the directory's ``attestations``.
    """

    steps: int | None
    keep_every: int | None
    choices: Choices | None
    progress: Progress | None
    on_step: OnStep | None
    self_check: int | None
    mesh: jax.sharding.Mesh | None
    shardings: Shardings | None
    timeout: float
    key: Ed25519PrivateKey | None


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A run request is what a caller asks of a run, after it was checked; the fields are those of `RunOptions`."""

    steps: int | None = None
    keep_every: int | None = None
    choices: Choices = field(default_factory=Choices)
    progress: Progress = field(default_factory=Silent)
    on_step: OnStep | None = None
    self_check: int | None = None
    mesh: jax.sharding.Mesh | None = None
    shardings: Shardings | None = None
    timeout: float = TIMEOUT
    key: Ed25519PrivateKey | None = None

    def __post_init__(self) -> None:
        """Refuse what can be refused before anything is read or written.

        Raises:
            UsageError: a number is out of bounds, or mesh and shardings don't belong together.
        """
        check_aim(self.steps, self.keep_every)
        check_devices(self.mesh, self.shardings)
        if self.self_check is not None:
            check_count("self_check", self.self_check)


def request_of(**options: Unpack[RunOptions]) -> RunRequest:
    """Return what a caller asks for; the choices name as the prover whoever holds the key.

    Raises:
        UsageError: an option is none that is possible, or the choices name another prover.
    """
    given = {name: value for name, value in options.items() if value is not None}
    request = RunRequest(**given)  # type: ignore[arg-type]  # the names and types are those of the options
    return replace(request, choices=choices_of(request.choices, request.key))
