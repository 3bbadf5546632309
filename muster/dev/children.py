"""Child processes that end when their parent does, also when it is killed outright (Linux; elsewhere only on a clean stop)."""

import ctypes
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def die_with_parent(how: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """Return what a child runs before its program: have the kernel send it a signal when its parent ends."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def run() -> None:
        libc.prctl(PR_SET_PDEATHSIG, how)

    return run
