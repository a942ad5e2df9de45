"""Run the tiers of tests that wait beside those that compute: `python tests/side_by_side.py MAKE`.

Their words come one after the other. A shell would keep an interrupt from what it started in the
background.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile

WAITING = ("waiting",)
COMPUTING = ("coverage", "property", "infrastructure")


def run(make: str) -> int:
    """Return 0 if every tier passed, else 1, as late as the last one ends."""
    words = [make, "--no-print-directory"]
    with tempfile.TemporaryFile() as told:
        waiting = subprocess.Popen([*words, *WAITING], stdout=told, stderr=subprocess.STDOUT)
        try:
            computed = subprocess.call([*words, *COMPUTING])
            print("local, browser, lifecycle and types, which run meanwhile:", flush=True)
        finally:
            waited = waiting.wait()
            told.seek(0)
            shutil.copyfileobj(told, sys.stdout.buffer)
            sys.stdout.flush()
    return int(bool(computed or waited))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
