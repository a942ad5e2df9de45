"""What every tier of tests shares."""

from __future__ import annotations

import signal

from hypothesis import settings

from local_aws.isolation import isolate

# Before anything is collected: no test may reach an account, a repository or a proxy of whoever
# runs it.
isolate()
# Shells start what runs in the background deaf to Ctrl-C, and so would be all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline measures the machine: tests here share two cores with a language model.
settings.register_profile("prompt-hub", deadline=None)
settings.load_profile("prompt-hub")
