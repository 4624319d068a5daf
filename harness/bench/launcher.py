"""Run one command and tell what it cost; run as a script of its own, in a process of its own.

The kernel counts towards a process's peak memory what its parent held when it was forked, so the
parent has to be small: this file imports next to nothing. Arguments: the descriptor to write the
figures to as JSON, and the command.
"""

import json
import os
import signal
import sys
import time
from types import FrameType


def leave_it_to_the_command(number: int, frame: FrameType | None) -> None:
    """A signal to the process group is for the command, which ends and then is accounted for."""


def main(arguments: list[str]) -> int:
    """Returns 0 whatever becomes of the command."""
    descriptor = int(arguments[0])
    os.set_inheritable(descriptor, False)
    # A handler is not inherited by the command; to be ignored would be.
    signal.signal(signal.SIGINT, leave_it_to_the_command)
    begun = time.monotonic()
    pid = os.posix_spawnp(arguments[1], arguments[1:], os.environ)
    _, status, usage = os.wait4(pid, 0)
    figures = {
        "wall": time.monotonic() - begun,
        "user": usage.ru_utime,
        "system": usage.ru_stime,
        "peak": usage.ru_maxrss * 1024,
        "status": os.waitstatus_to_exitcode(status),
    }
    os.write(descriptor, json.dumps(figures).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
