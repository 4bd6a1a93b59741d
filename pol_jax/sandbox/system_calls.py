"""The system calls that a confined process may not make, with the kernel's numbers.

Landlock restricts what is opened. What these calls reach is not opened: the owner, mode and times of any file whose
path is known, another process of the same user, keys and memory segments that are named by numbers, other namespaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Each call with its number on x86-64 and on aarch64; None where a machine does not have it.
_FILES: Final = {
    # mode, owner, times and extended attributes need no open file, so Landlock doesn't see them
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
}

_PROCESSES: Final = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    # the process group is what the caller kills in the end: nobody leaves it
    "setsid": (112, 157),
    "setpgid": (109, 154),
}

_NAMED_BY_NUMBERS: Final = {
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}

_KERNEL: Final = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    # a ring of requests makes sockets without a call
    "io_uring_setup": (425, 425),
}

_SOCKET: Final = (41, 198)

_OWN_ALONE: Final = {
    "prlimit64": (302, 261),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
}

_NEW_PROCESSES: Final = {"fork": (57, None), "vfork": (58, None)}
_CLONE: Final = (56, 220)
_CLONE3: Final = (435, 435)


@dataclass(frozen=True)
class SystemCalls:
    """System calls have these numbers on one kind of machine.

    Attributes:
        architecture: what the machine is to the kernel (AUDIT_ARCH).
        refused: calls that nobody needs here, by name.
        own_alone: calls whose first argument names a process, and must name none but the caller (0).
        socket: makes a socket, of the family that its first argument says.
        new_processes: calls that make a process and no thread, beside ``clone``.
        clone: makes a process or a thread, by its flags.
        clone3: the same, with flags where a filter can't see them.
    """

    architecture: int
    refused: Mapping[str, int]
    own_alone: Mapping[str, int]
    socket: int
    new_processes: Mapping[str, int]
    clone: int
    clone3: int


def _numbers(table: Mapping[str, tuple[int, int | None]], column: int) -> dict[str, int]:
    return {name: number for name, numbers in table.items() if (number := numbers[column]) is not None}


def _calls(architecture: int, column: int) -> SystemCalls:
    return SystemCalls(
        architecture,
        _numbers(_FILES | _PROCESSES | _NAMED_BY_NUMBERS | _KERNEL, column),
        _numbers(_OWN_ALONE, column),
        _SOCKET[column],
        _numbers(_NEW_PROCESSES, column),
        _CLONE[column],
        _CLONE3[column],
    )


MACHINES: Final[Mapping[str, SystemCalls]] = {"x86_64": _calls(0xC000003E, 0), "aarch64": _calls(0xC00000B7, 1)}
"""These are the kinds of machines that are known, by the names of `platform.machine`."""
