"""Becomes the program that `authz up` starts, and ends with `authz up`, however that ends.

`python -m authz_service.proxy.child PARENT COMMAND...`: run as a process of its own, so that nothing
has to happen between fork and exec in a process that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h; it outlives the exec below


def become(parent: int, command: list[str]) -> None:
    """Replace this process by `command`; the kernel kills it when `parent` is gone.

    Files that it makes are its user's own. SIGHUP and SIGUSR2, which may be passed on before it is ready for
    them, are ignored until it says otherwise: by default they would end it. Where there is no prctl (not
    Linux) it may outlive a parent that was killed; one that ends in order stops it in any case.
    """
    for number in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - there is no shell in this


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
