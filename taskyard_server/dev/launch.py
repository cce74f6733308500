"""Replaces itself by another program that dies with the process that started it.

Run as a script, `python -I -S launch.py PARENT_PID DEATH_SIGNAL USER_ID PROGRAM [ARGUMENT...]`, so
that nothing is done between fork and exec in the supervisor, which may have threads. The program
keeps this process's id.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
KEEP_USER = -1


def become_user(user_id: int) -> None:
    """Gives up root for `user_id` and the group of the same number, for good."""
    os.setgroups([])
    os.setgid(user_id)
    os.setuid(user_id)


def die_with_parent(parent_pid: int, death_signal: int) -> None:
    """Asks the kernel for `death_signal` when the starting thread ends. Linux only; else nothing.

    Raises OSError when the kernel refuses, SystemExit when the parent is already gone.
    """
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent_pid:
        # The parent ended before the request above: the signal would never come.
        sys.exit("the process that started this one is gone")


def main(arguments: list[str]) -> None:
    """Becomes the program named in `arguments`; see the module's own text for their order."""
    parent_pid, death_signal, user_id = (int(word) for word in arguments[:3])
    command = arguments[3:]
    if user_id != KEEP_USER:
        # Before the request to the kernel: a change of user clears it.
        become_user(user_id)
    die_with_parent(parent_pid, death_signal)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
