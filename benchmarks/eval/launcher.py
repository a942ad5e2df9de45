"""Runs one command and writes what it cost: `python -I -S launcher.py REPORT COMMAND...`.

A process of its own, and the smallest that Python can be: the kernel counts a child's peak memory
from the size that its parent had at the fork.
"""

import json
import os
import sys
import time


def main() -> int:
    """Run the command, report as JSON; returns 0 whatever the command returned."""
    report, *command = sys.argv[1:]
    started = time.monotonic()
    pid = os.posix_spawn(command[0], command, os.environ)
    # Includes every grandchild that the child waited for; the peak is that of the largest process.
    _, status, usage = os.wait4(pid, 0)
    ended = time.monotonic()
    with open(report, "w", encoding="utf-8") as file:  # noqa: PTH123 pathlib is not small
        json.dump(
            {
                "exit_code": os.waitstatus_to_exitcode(status),
                "started_at": started,
                "seconds": ended - started,
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                # Linux counts kilobytes, macOS bytes.
                "peak_mb": usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
            },
            file,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
