"""Work that repeats while the local AWS is up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ministack.core.responses import request_scope

from local_aws.settings import CloudSettings

logger = logging.getLogger("local_aws.background")


class Repeating:
    """Calls `work` on a thread of its own every `seconds`, and at once when woken.

    The emulator's records are scoped by account and region; the thread carries those of
    `settings`. A failure is logged and the next round comes all the same.
    """

    def __init__(
        self, name: str, seconds: float, work: Callable[[], object], settings: CloudSettings
    ) -> None:
        self._name = name
        self._seconds = seconds
        self._work = work
        self._settings = settings
        self._stopping = False
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"local-aws-{name}")

    def start(self) -> None:
        """Begin with the first round now."""
        self._thread.start()

    def wake(self) -> None:
        """Run the next round at once; may be called from any thread, also before `start`."""
        self._woken.set()

    def stop(self) -> None:
        """Let the round that is running end, and begin no other."""
        self._stopping = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with request_scope(self._settings.account, self._settings.region):
            while not self._stopping:
                self._woken.clear()
                try:
                    self._work()
                except Exception:
                    logger.exception("%s failed; tried again in %s s", self._name, self._seconds)
                self._woken.wait(self._seconds)
