"""What every tier of tests shares."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from local_aws.isolation import isolate

# Before anything is collected: no test may reach an account, a repository or a proxy of whoever
# runs it.
isolate()
# Processes that tests start find the package whatever folder they run in, installed or not.
os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[1] / "pipeline_image")
# Shells start what runs in the background deaf to Ctrl-C, and so would be all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
